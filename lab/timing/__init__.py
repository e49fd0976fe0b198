"""Timing of functions on secrets, after dudect: does the time of a call tell two classes of input apart?

A *subject* makes fresh arguments of class 0 or 1 and is called with them; a *run* is many calls with the class drawn at random each time.
The two classes differ in where a forged value first differs from the right one. Welch's t compares their times; *controls* show that the
method sees a leak where there is one (positive) and none where there is none (the same class twice).

What this shows: no difference of that size was seen on this machine, in this build. It is no proof of constant time.
"""

"""What people type. Each module holds the commands of one subject; what a command needs beyond that is imported when it runs.

Words: *exit status*: 0 done, 1 failed, 2 used or configured wrongly, 3 self-test failed; `audit verify` has its own beside these. *Answer*:
what goes to standard output, for people or, with `--json`, one line of JSON. Everything else goes to standard error, one line each.
"""

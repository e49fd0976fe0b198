"""A corpus of audit events that says what must fire at each, and the judgement of three executors by it.

`truth.toml` is written by hand, apart from the rules; `corpus.py` makes events of it; `node.py` asks an OpenSearch node;
`python -m lab.detections` compares all of them over a hundred thousand events and writes docs/evidence/detections.*.
"""

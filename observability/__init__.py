"""From records to what people look at: operational log, index template, shipper, numbers, report.

Words. *Operational log*: lines for whoever runs the process; may be lost, never evidence. *Audit log*: the durable chain of events that the
audit writer makes; the only thing that is shipped and reported on. *Shipper*: the process that copies it into an OpenSearch data stream.
Nothing here is imported by a process that holds keys, except the operational log, which its command line sets up.
"""

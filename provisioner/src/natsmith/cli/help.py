"""What --help shows below the options."""

from __future__ import annotations

EPILOG = """\
examples:
  natsmith plan -f values/dev.yaml                        what would change, and what that does to the data
  natsmith apply -f values/dev.yaml                       change it
  natsmith verify -f values/dev.yaml --prove              is it so, and does expiry really work?
  natsmith status                                         what is provisioned here
  natsmith export > values/live.yaml                      the account as values
  natsmith backup monday                                  every stream and its consumers, into a directory
  natsmith registry list                                  services, fresh and stale, and who leads
  helm template charts/natsmith | natsmith plan -f -      what a release of the chart would change
  natsmith VERB --help                                    what else a verb can be told

connection:
  as the nats CLI knows it: NATS_URL, NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT,
  NATS_KEY, NATS_CONTEXT and its context files. Flags win over the environment, the environment over a context.
  For several accounts --connections FILE, or NATSMITH_CONNECTIONS.

exit codes:
  0 done   1 stopped halfway   2 the values or the command line are wrong   3 a decision is needed
  4 differs (plan --check, verify, registry doctor)   75 not ready, try later
"""

EXAMPLES = {
    "plan": """\
  natsmith plan -f values/dev.yaml
  natsmith plan -f values/base.yaml -f values/prod.yaml --set buckets.service_registry.ttlSeconds=60
  natsmith plan -f values/dev.yaml --check                in a pipeline: exit with 4 if anything differs
""",
    "apply": """\
  natsmith apply -f values/dev.yaml
  natsmith apply -f values/dev.yaml --expect 3f9c12       only what a plan with this digest has shown
  natsmith apply -f values/dev.yaml --outcome end.json       one line about how it ended, however that was
""",
    "verify": """\
  natsmith verify -f values/dev.yaml                      look, and write nothing
  natsmith verify -f values/dev.yaml --prove              watch a canary expire in a short-lived twin
  natsmith verify -f values/dev.yaml --as users.yaml      put and get as the applications do
""",
    "status": """\
  natsmith status
  natsmith status --context prod --output json
""",
    "export": """\
  natsmith export > values/live.yaml
  natsmith export | natsmith plan -f -                    plans to nothing
""",
    "history": """\
  natsmith history
  natsmith history --output json
""",
    "reload": """\
  natsmith reload --user sys --password-file sys.txt      after a Secret or a certificate has changed
  natsmith reload --connections /etc/natsmith/reloader.yaml    in the chart's toolbox
""",
    "bring": """\
  natsmith bring --from nats://old:4222                   every stream that is not here, with its consumers
  natsmith bring --from-context old --leave LOGS          all but one
""",
    "backup": """\
  natsmith backup monday                                  every stream, with its consumers, into a new directory
  natsmith backup monday --account app --leave CACHE      of one account, all but one
  natsmith backup - > monday.tar                          one tar, out of a pod: docs/backup.md
""",
    "restore": """\
  natsmith restore monday                                 every stream that is missing; none is overwritten
  natsmith restore monday --only KV_sessions              what was lost, and nothing else
  natsmith restore -                                      what backup - has written, from standard input
""",
    "monitor": """\
  natsmith monitor -f values/dev.yaml                     a page at http://127.0.0.1:8280/
  natsmith monitor --listen 0.0.0.0:8280 --show-values
""",
    "credentials": """\
  natsmith credentials -f values/dev.yaml --name natsmith-users | kubectl apply -f -
  natsmith credentials -f values/dev.yaml --name natsmith-users --only APP.app | kubeseal -o yaml
""",
    "registry list": """\
  natsmith registry list
  natsmith registry list --bucket services --output json
""",
    "registry watch": """\
  natsmith registry watch                                 until Ctrl-C
  natsmith registry watch --seconds 60 --output json      one object a line, for a minute
""",
    "registry clean": """\
  natsmith registry clean --dry-run                       what would go, and why
  natsmith registry clean
""",
    "registry doctor": """\
  natsmith registry doctor
  natsmith registry doctor --prove-seconds 300            wait for a canary in a bucket with a longer TTL
""",
    "schema": """\
  natsmith schema > values.schema.json
  natsmith schema --markdown > settings.md
""",
}

/** Flags of watching over a member: metrics, logs, traces, background work, and what is dangerous. */
import type { Flag } from './flag.ts'

const NO_TRACES = 'no traces are written; the metrics have the durations of calls'

export const MONITORING_FLAGS = {
  'enable-pprof': {
    value: 'switch',
    fallback: 'false',
    help: 'Serve profiles at /debug/pprof.',
    ignored: 'the profiles are those of Go programs: start Node with --cpu-prof or --inspect instead',
  },
  metrics: {
    value: 'choice',
    form: 'basic|extensive',
    fallback: 'basic',
    help: 'How detailed the metrics are.',
    ignored: 'histograms of calls, which are all that extensive adds, are always among the metrics',
  },
  'listen-metrics-urls': {
    value: 'urls',
    fallback: '',
    help: 'Where to serve /metrics, /health, /livez, /readyz and /version and nothing else, beside the client URLs.',
  },
} as const satisfies Record<string, Flag>

export const LOGGING_FLAGS = {
  logger: {
    value: 'choice',
    form: 'zap',
    fallback: 'zap',
    help: 'Who writes the log; the lines are of its form.',
    refused: "there is none but 'zap', in etcd neither",
  },
  'log-outputs': {
    value: 'list',
    form: 'default|stderr|stdout|systemd/journal|path,…',
    fallback: 'default',
    help: "Where the log goes; 'default' and 'systemd/journal' are stderr.",
  },
  'log-level': {
    value: 'choice',
    form: 'debug|info|warn|error|panic|fatal',
    fallback: 'info',
    help: 'What is logged at least.',
  },
  'log-format': { value: 'choice', form: 'json|console', fallback: 'json', help: 'Form of a line of the log.' },
  'enable-log-rotation': {
    value: 'switch',
    fallback: 'false',
    help: 'Begin a new log file when one is large.',
    refused: 'the file would grow until the disk is full: let logrotate do it (with copytruncate), or log to stderr',
  },
  'log-rotation-config-json': {
    value: 'text',
    fallback: '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}',
    help: 'When to begin a new log file.',
    ignored: 'there is no log rotation that it could configure',
  },
  'warning-unary-request-duration': {
    value: 'duration',
    fallback: '300ms',
    help: 'A call that takes longer is logged as a warning.',
  },
} as const satisfies Record<string, Flag>

export const TRACING_FLAGS = {
  'enable-distributed-tracing': { value: 'switch', fallback: 'false', help: 'Send traces.', ignored: NO_TRACES },
  'distributed-tracing-address': {
    value: 'text',
    fallback: 'localhost:4317',
    help: 'Where traces go.',
    ignored: NO_TRACES,
  },
  'distributed-tracing-service-name': {
    value: 'text',
    fallback: 'etcd',
    help: 'Service name in traces.',
    ignored: NO_TRACES,
  },
  'distributed-tracing-instance-id': { value: 'text', fallback: '', help: 'Instance in traces.', ignored: NO_TRACES },
  'distributed-tracing-sampling-rate': {
    value: 'integer',
    fallback: '0',
    help: 'Traces per million.',
    ignored: NO_TRACES,
  },
} as const satisfies Record<string, Flag>

export const FEATURE_FLAGS = {
  'corrupt-check-time': {
    value: 'duration',
    fallback: '0s',
    help: 'Time between two comparisons of the members’ data; 0 for none.',
  },
  'compact-hash-check-time': {
    value: 'duration',
    fallback: '1m0s',
    help: 'Time between two comparisons of what compactions left, with the feature gate CompactHashCheck.',
  },
  'compaction-batch-limit': {
    value: 'integer',
    fallback: '1000',
    harmless: ['0'],
    help: 'Revisions that a compaction removes at a time.',
    ignored: 'a compaction removes as many revisions at a time as the store takes without making requests wait',
  },
  'compaction-sleep-interval': {
    value: 'duration',
    fallback: '0s',
    harmless: ['10ms'],
    help: 'Rest of a compaction between two batches.',
    ignored: 'a compaction yields to requests by itself',
  },
  'watch-progress-notify-interval': {
    value: 'duration',
    fallback: '10m0s',
    help: 'Time between two progress notifications of a watch that asked for them; 0 means the default.',
  },
  'warning-apply-duration': {
    value: 'duration',
    fallback: '100ms',
    help: 'Entries that take longer to apply count as slow.',
  },
  'bootstrap-defrag-threshold-megabytes': {
    value: 'integer',
    fallback: '0',
    help: 'Defragment at the start when it frees this much.',
    ignored:
      'the store is not defragmented at the start: it gives space back by itself, a part of it; etcdctl defrag gives all of it back',
  },
  'downgrade-check-time': {
    value: 'duration',
    fallback: '5s',
    help: 'Time between two looks at whether a downgrade is done.',
    ignored: 'there are no downgrades',
  },
} as const satisfies Record<string, Flag>

export const UNSAFE_FLAGS = {
  'force-new-cluster': {
    value: 'switch',
    fallback: 'false',
    help:
      'Go on with this member’s data as a cluster of one; all other members are removed from it and refused. Only when ' +
      'they are lost for good: what this member has not seen is lost with them.',
  },
  'unsafe-no-fsync': {
    value: 'switch',
    fallback: 'false',
    help:
      'Promise what is not on the disk: when the machine ends, acknowledged writes are lost, and the member may be of no more ' +
      'use. For tests. The log says so at the start, and Status always.',
  },
} as const satisfies Record<string, Flag>

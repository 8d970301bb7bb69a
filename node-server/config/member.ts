/** Flags of one member: names, places, limits. */
import type { Flag } from './flag.ts'

export const MEMBER_FLAGS = {
  name: { value: 'text', fallback: 'default', help: 'Human-readable name of this member, unique in its cluster.' },
  'data-dir': { value: 'path', fallback: '${name}.etcd', help: 'Directory of all data of this member.' },
  'wal-dir': { value: 'path', fallback: '', help: 'Directory of the log, to have it on another disk.' },
  'snapshot-count': {
    value: 'integer',
    fallback: '10000',
    help: 'Entries applied between two snapshots, after which the log is cut.',
  },
  'snapshot-catchup-entries': {
    value: 'integer',
    fallback: '5000',
    help: 'Entries that stay in the log for slow followers when it is cut.',
  },
  'heartbeat-interval': { value: 'ms', fallback: '100', help: 'Time between two heartbeats of a leader.' },
  'election-timeout': {
    value: 'ms',
    fallback: '1000',
    help: 'Time without a leader after which a member stands for election; at least 5 heartbeats.',
  },
  'initial-election-tick-advance': {
    value: 'switch',
    fallback: 'true',
    help: 'Shorten the wait for the first election after a start.',
    ignored: 'a lone member leads at once; others wait for the whole election timeout, as with false',
  },
  'listen-peer-urls': {
    value: 'urls',
    fallback: 'http://localhost:2380',
    help: 'Where to listen for the other members.',
  },
  'listen-client-urls': {
    value: 'urls',
    fallback: 'http://localhost:2379',
    help: 'Where to listen for clients: gRPC, and HTTP unless it has URLs of its own.',
  },
  'listen-client-http-urls': {
    value: 'urls',
    fallback: '',
    help: 'Where to serve clients HTTP only; --listen-client-urls then serves gRPC only.',
  },
  'listen-admin-urls': {
    value: 'urls',
    fallback: '',
    help:
      "Where to serve the admin API with /metrics, /livez and /readyz; https with the client side's certificates. Required when the " +
      "state is 'wait'.",
  },
  'admin-token-file': {
    value: 'path',
    fallback: '',
    help: 'File with the bearer token that changes through the admin API need, read for each of them; it may have several, one a line. Without it changes are accepted from loopback only.',
  },
  'max-snapshots': {
    value: 'integer',
    fallback: '5',
    help: 'Snapshot files to keep.',
    ignored: 'the store is its own snapshot: no snapshot files are kept',
  },
  'max-wals': {
    value: 'integer',
    fallback: '5',
    help: 'Log files to keep.',
    ignored: 'log files are kept as long as they hold an entry that may be needed, and no longer',
  },
  'memory-mlock': {
    value: 'switch',
    fallback: 'false',
    help: 'Keep the memory of the process from being swapped out.',
    ignored: 'memory is not locked: turn swap off on the machine instead',
  },
  'quota-backend-bytes': {
    value: 'bytes',
    fallback: '2147483648',
    help: 'Size of the store beyond which writes are refused; 0 means the default, a negative number no limit.',
  },
  'backend-bbolt-freelist-type': {
    value: 'choice',
    form: 'map|array',
    fallback: '',
    harmless: ['map'],
    help: 'How bbolt keeps its free pages.',
    ignored: 'the store has no free pages: files that are not needed are removed',
  },
  'backend-batch-interval': {
    value: 'duration',
    fallback: '0s',
    harmless: ['100ms'],
    help: 'Time after which changes are written to the store.',
    ignored: 'changes are written to the store by their amount and age; the log, not the store, makes them durable',
  },
  'backend-batch-limit': {
    value: 'integer',
    fallback: '0',
    harmless: ['10000'],
    help: 'Changes after which they are written to the store.',
    ignored: 'changes are written to the store by their amount and age; the log, not the store, makes them durable',
  },
  'max-txn-ops': { value: 'integer', fallback: '128', help: 'The most operations in one txn.' },
  'max-request-bytes': {
    value: 'bytes',
    fallback: '1572864',
    help: 'The largest request that is accepted; at most 10 MiB, from where on etcd warns.',
  },
  'max-concurrent-streams': {
    value: 'integer',
    fallback: '10000',
    help: 'Calls that one client connection may have open at a time; etcd has no bound by default.',
  },
  'grpc-keepalive-min-time': {
    value: 'duration',
    fallback: '5s',
    help: 'A client that pings more often than this is disconnected.',
  },
  'grpc-keepalive-interval': {
    value: 'duration',
    fallback: '2h0m0s',
    help: 'Time without a sign of life after which a client is pinged; 0 for never.',
  },
  'grpc-keepalive-timeout': {
    value: 'duration',
    fallback: '20s',
    help: 'Time after such a ping without an answer after which the client is disconnected; 0 for never.',
  },
  'socket-reuse-port': {
    value: 'switch',
    fallback: 'false',
    help: 'Listen with SO_REUSEPORT: another process may listen on the same port.',
    refused: 'two processes would share the clients and peers of one address by chance, so it is not offered',
  },
  'socket-reuse-address': {
    value: 'switch',
    fallback: 'false',
    help: 'Listen with SO_REUSEADDR, so that a restart need not wait for old connections.',
    ignored: 'every listener has it already: a restart can listen on the same ports at once',
  },
  'grpc-engine': {
    value: 'choice',
    form: 'built-in|grpc-js',
    fallback: 'built-in',
    help: 'What serves gRPC: the HTTP/2 of this program, or the library @grpc/grpc-js.',
  },
  'warm-up': {
    value: 'switch',
    fallback: 'true',
    help: 'Before clients are served, for a second at most, run the most common requests on a store in memory, so that the first clients find compiled code; a member that comes back to a cluster with a leader does it while it serves.',
  },
  'shutdown-delay-duration': {
    value: 'duration',
    fallback: '0s',
    help: 'Go on serving for this long after SIGTERM: a Service of Kubernetes sends new connections here until every machine knows that the pod is stopping. The metrics URLs report at once that the member is not ready.',
  },
  'enable-grpc-gateway': { value: 'switch', fallback: 'true', help: 'Serve the JSON gateway, POST /v3/….' },
  'raft-read-timeout': {
    value: 'duration',
    fallback: '5s',
    help: 'Time after which a silent connection from a peer is closed.',
    ignored: 'connections between members have a heartbeat and a deadline of their own',
  },
  'raft-write-timeout': {
    value: 'duration',
    fallback: '5s',
    help: 'Time after which a connection to a peer that reads nothing is closed.',
    ignored: 'connections between members have a heartbeat and a deadline of their own',
  },
  'feature-gates': {
    value: 'list',
    form: 'Name=true|false,…',
    fallback: '',
    help: "etcd's features by name; docs/flags.md lists those that have an effect.",
  },
} as const satisfies Record<string, Flag>

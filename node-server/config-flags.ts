/** The flags there are: one table for parsing, for the environment and for --help. Pure. */

export const FLAGS = {
  name: { value: 'text', fallback: 'default', help: 'Human-readable name of this member, unique in its cluster.' },
  'data-dir': { value: 'path', fallback: '${name}.etcd', help: 'Directory of all that this member keeps.' },
  'listen-client-urls': {
    value: 'urls',
    fallback: 'http://localhost:2379',
    help: 'Where to listen for clients (etcd v3 over gRPC).',
  },
  'advertise-client-urls': {
    value: 'urls',
    fallback: 'http://localhost:2379',
    help: 'Where clients reach this member. Required together with --listen-client-urls.',
  },
  'listen-peer-urls': {
    value: 'urls',
    fallback: 'http://localhost:2380',
    help: 'Where to listen for the other members.',
  },
  'initial-advertise-peer-urls': {
    value: 'urls',
    fallback: 'http://localhost:2380',
    help: 'Where the other members reach this one.',
  },
  'initial-cluster': {
    value: 'name=url,…',
    fallback: '${name}=${initial-advertise-peer-urls}',
    help: 'All members of a cluster that starts, this one among them.',
  },
  'initial-cluster-token': {
    value: 'text',
    fallback: 'etcd-cluster',
    help: 'Tells clusters with equal addresses apart.',
  },
  'initial-cluster-state': {
    value: 'new|existing|wait',
    fallback: 'new',
    help:
      "'new' starts a cluster, 'existing' joins one. 'wait' serves the admin API only, until it is told there to " +
      'bootstrap or to join. All three matter only while the data directory is empty.',
  },
  'listen-metrics-urls': {
    value: 'urls',
    fallback: '',
    help: 'Where to serve /metrics, /livez and /readyz, beside the admin URLs.',
  },
  'listen-admin-urls': {
    value: 'urls',
    fallback: '',
    help: "Where to serve the admin API with /metrics, /livez and /readyz. Required when the state is 'wait'.",
  },
  'admin-token-file': {
    value: 'path',
    fallback: '',
    help: 'File with the bearer token that changes through the admin API need. Without it they are taken from loopback only.',
  },
  'heartbeat-interval': { value: 'ms', fallback: '100', help: 'Time between two heartbeats of a leader.' },
  'election-timeout': {
    value: 'ms',
    fallback: '1000',
    help: 'Time without a leader after which a member stands for election; at least 5 heartbeats.',
  },
  'snapshot-count': {
    value: 'entries',
    fallback: '10000',
    help: 'Entries applied between two snapshots, after which the log is cut.',
  },
  'quota-backend-bytes': {
    value: 'bytes',
    fallback: '2147483648',
    help: 'Size of the store beyond which writes are refused; 0 means the default.',
  },
  'max-request-bytes': { value: 'bytes', fallback: '1572864', help: 'The largest request that is taken.' },
  'max-txn-ops': { value: 'count', fallback: '128', help: 'The most operations in one txn.' },
  'log-level': { value: 'debug|info|warn|error|panic|fatal', fallback: 'info', help: 'What is logged at least.' },
} as const satisfies Record<string, { readonly value: string; readonly fallback: string; readonly help: string }>

export type FlagName = keyof typeof FLAGS

/** Of etcd's tutorials; they change nothing here. */
const WITHOUT_EFFECT: Readonly<Record<string, 'has-value' | 'switch'>> = {
  logger: 'has-value',
  'log-outputs': 'has-value',
  'enable-pprof': 'switch',
}

export interface Given {
  readonly values: ReadonlyMap<FlagName, string>
  readonly wants: 'run' | 'help' | 'version'
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads arguments and environment; a flag on the command line wins. */
export function readFlags(args: readonly string[], environment: Environment): Given {
  const problems: string[] = []
  const warnings: string[] = []
  const values = readEnvironment(environment, warnings)
  const fromEnvironment = new Set(values.keys())
  for (let i = 0; i < args.length; i++) {
    const argument = args[i] ?? ''
    const [, name = '', inline] = /^--?([a-z][a-z0-9-]*)(?:=([\s\S]*))?$/.exec(argument) ?? []
    if (name === 'help' || argument === '-h') return { values, wants: 'help', warnings, problems }
    if (name === 'version') return { values, wants: 'version', warnings, problems }
    const withoutEffect = WITHOUT_EFFECT[name]
    if (!isFlag(name) && withoutEffect === undefined) {
      problems.push(unknownArgument(argument, name))
      continue
    }
    const value = inline ?? (withoutEffect === 'switch' ? 'true' : args[++i])
    if (value === undefined) {
      problems.push(`--${name}: the value is missing, give --${name}=VALUE`)
    } else if (isFlag(name)) {
      if (fromEnvironment.delete(name)) warnings.push(`${variableOf(name)} is ignored: --${name} is given as well`)
      values.set(name, value)
    } else {
      warnings.push(`--${name} has no effect`)
    }
  }
  return { values, wants: 'run', warnings, problems }
}

function unknownArgument(argument: string, name: string): string {
  return name === ''
    ? `'${argument}' is not a flag: flags are of the form --name=value`
    : `--${name}: there is no such flag, --help lists those there are`
}

function isFlag(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name)
}

export function variableOf(name: string): string {
  return `ETCD_${name.toUpperCase().replaceAll('-', '_')}`
}

function readEnvironment(environment: Environment, warnings: string[]): Map<FlagName, string> {
  const values = new Map<FlagName, string>()
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('ETCD_') || value === undefined) continue
    const name = variable.slice('ETCD_'.length).toLowerCase().replaceAll('_', '-')
    if (!isFlag(name)) warnings.push(`${variable} is ignored: there is no flag --${name}`)
    else if (value !== '') values.set(name, value) // etcd, too, takes an empty one as not set
  }
  return values
}

export function helpText(): string {
  const flags = Object.entries(FLAGS).map(([name, { value, fallback, help }]) => {
    const byDefault = fallback === '' ? '' : ` (default: ${fallback})`
    return `  --${name} ${value}\n      ${help}${byDefault}`
  })
  return [
    'A member of a Raft key-value cluster that speaks the etcd v3 API.',
    '',
    'Usage: node node-server/main.ts [flags]',
    '',
    ...flags,
    '  --version\n      Print the version and exit.',
    '  --help\n      Print this and exit.',
    '',
    'Flags are given as --flag value or --flag=value, with one dash or two, or in the environment: --data-dir is',
    'ETCD_DATA_DIR. The command line wins. Lists are separated by commas.',
    '',
  ].join('\n')
}

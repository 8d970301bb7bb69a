/** All flags, by group: the one table for parsing, the environment, config files, --help and docs/flags.md. */
import { CLIENT_LIMIT_FLAGS } from './client-limits.ts'
import { CLUSTERING_FLAGS } from './clustering.ts'
import type { Flag } from './flag.ts'
import { MEMBER_FLAGS } from './member.ts'
import { FEATURE_FLAGS, LOGGING_FLAGS, MONITORING_FLAGS, TRACING_FLAGS, UNSAFE_FLAGS } from './operations.ts'
import { SECURITY_FLAGS } from './security.ts'

export const FLAGS = {
  ...MEMBER_FLAGS,
  ...CLIENT_LIMIT_FLAGS,
  ...CLUSTERING_FLAGS,
  ...SECURITY_FLAGS,
  ...MONITORING_FLAGS,
  ...LOGGING_FLAGS,
  ...TRACING_FLAGS,
  ...FEATURE_FLAGS,
  ...UNSAFE_FLAGS,
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof FLAGS

export const GROUPS: readonly { readonly title: string; readonly flags: Readonly<Record<string, Flag>> }[] = [
  { title: 'Member', flags: MEMBER_FLAGS },
  { title: 'Limits of clients', flags: CLIENT_LIMIT_FLAGS },
  { title: 'Clustering', flags: CLUSTERING_FLAGS },
  { title: 'Security', flags: SECURITY_FLAGS },
  { title: 'Monitoring', flags: MONITORING_FLAGS },
  { title: 'Logging', flags: LOGGING_FLAGS },
  { title: 'Tracing', flags: TRACING_FLAGS },
  { title: 'Features', flags: FEATURE_FLAGS },
  { title: 'Unsafe', flags: UNSAFE_FLAGS },
]

/** Taken by etcd 3.7 without a word, since early versions had them; each is a switch. */
export const FORGOTTEN_FLAGS: ReadonlySet<string> = new Set([
  'cluster-active-size',
  'cluster-remove-delay',
  'cluster-sync-interval',
  'config',
  'force',
  'max-result-buffer',
  'max-retry-attempts',
  'peer-heartbeat-interval',
  'peer-election-timeout',
  'retry-interval',
  'snapshot',
  'v',
  'vv',
  'test.coverprofile',
  'test.outputdir',
])

export function isFlag(name: string): name is FlagName {
  return Object.hasOwn(FLAGS, name)
}

export function flagOf(name: FlagName): Flag {
  return FLAGS[name]
}

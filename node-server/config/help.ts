/** What `--help` prints. */
import { classOf, type Flag } from './flag.ts'
import { GROUPS } from './table.ts'

export function helpText(): string {
  const groups = GROUPS.flatMap(({ title, flags }) => [
    `${title}:`,
    ...Object.entries(flags).map(([name, flag]) => describe(name, flag)),
    '',
  ])
  return [
    'A member of a Raft key-value cluster that speaks the etcd v3 API.',
    '',
    'Usage: node node-server/main.ts [flags]',
    '       node node-server/main.ts snapshot | check | dump --help    (for a member that does not run)',
    '',
    '  --version\n      Print the version and exit.',
    '  --help\n      Print this and exit.',
    "  --config-file path\n      Read etcd's configuration file; all other flags and the environment are then ignored.",
    '',
    ...groups,
    'Flags are given as --flag value or --flag=value, with one dash or two; a switch as --flag or --flag=false. In the',
    'environment --data-dir is ETCD_DATA_DIR; the command line wins. Lists are separated by commas, durations are like',
    '1m30s. All flags of etcd 3.7 are accepted. [no effect] changes nothing here, [refused] makes the start fail',
    'another value than its default; docs/flags.md says why.',
    '',
  ].join('\n')
}

function describe(name: string, flag: Flag): string {
  const byDefault = flag.fallback === '' ? '' : ` (default: ${flag.fallback})`
  const mark = { implemented: '', ignored: '[no effect] ', refused: '[refused] ' }[classOf(flag)]
  return `  --${name} ${flag.form ?? flag.value}\n      ${mark}${flag.help}${byDefault}`
}

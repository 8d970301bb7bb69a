/** docs/flags.md, from the table. `node node-server/config/page.ts > docs/flags.md` writes it; a test keeps it so. */
import { GATES } from './feature-gates.ts'
import { classOf, type Flag } from './flag.ts'
import { GROUPS } from './table.ts'

const HEAD = `# Flags

All flags of etcd 3.7 are accepted, on the command line (\`--flag value\`, \`--flag=value\`, one dash or two; a switch as \`--flag\` or
\`--flag=false\`), in the environment (\`--data-dir\` is \`ETCD_DATA_DIR\`), and in etcd's configuration file (\`--config-file\`; all
other flags and the environment are then ignored, with a warning). Each is in one of three classes:

- **works**: does what it does in etcd.
- **no effect**: is accepted, with one warning that says why it changes nothing here; without a warning if the value is the default.
- **refused**: with any other value than the default the program does not start, because going on without it would be unsafe or not what
  was asked for.

Wrong flags end the program with exit code 2, and all mistakes are reported at once (etcd: 2 for what it cannot parse, 1 for the
first other mistake). A variable that is shadowed by a flag is a warning (etcd ends). The \`--experimental-…\` flags of older
versions are unknown, as in etcd 3.7; the error names the flag or feature gate that took their place. In a configuration file
durations are whole nanoseconds, as in etcd; a key that does not exist is a warning.
`

export function flagsPage(): string {
  const groups = GROUPS.map(({ title, flags }) =>
    [`## ${title}`, '', ...table(Object.entries(flags).map(([name, flag]) => flagRow(name, flag))), ''].join('\n'),
  )
  return [HEAD, ...groups, gatesSection()].join('\n')
}

type Row = readonly [name: string, className: string, fallback: string, note: string]

function flagRow(name: string, flag: Flag): Row {
  const reason = flag.ignored ?? flag.refused
  const note = reason === undefined ? flag.help : `${flag.help} Here: ${reason}.`
  const className = { implemented: 'works', ignored: 'no effect', refused: 'refused' }[classOf(flag)]
  return [`--${name}`, className, flag.fallback, note]
}

function table(rows: readonly Row[]): readonly string[] {
  return [
    '| flag | class | default | what it does |',
    '|---|---|---|---|',
    ...rows.map(([name, className, fallback, note]) => {
      const shown = fallback === '' ? '' : `\`${escape(fallback)}\``
      return `| \`${name}\` | ${className} | ${shown} | ${escape(note)} |`
    }),
  ]
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|')
}

function gatesSection(): string {
  const rows = Object.entries(GATES).map(([name, gate]): Row => {
    const className = gate.ignored !== undefined ? 'no effect' : gate.refused !== undefined ? 'refused' : 'works'
    const reason = gate.ignored ?? gate.refused
    return [name, className, String(gate.fallback), reason === undefined ? gate.help : `Here: ${reason}.`]
  })
  return [
    '## Feature gates',
    '',
    '`--feature-gates=Name=true,…`; `AllAlpha` and `AllBeta` mean all of that stage, as in etcd.',
    '',
    ...table(rows),
    '',
  ].join('\n')
}

if (import.meta.main) process.stdout.write(flagsPage())

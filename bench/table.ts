/** From what was measured to the tables: medians, ratios, and which goal is reached. Pure. */
import { median } from './median.ts'
import type { Results } from './rounds.ts'
import type { Goal, Kept, Step } from './stage.ts'

export interface Row {
  readonly step: string
  readonly what: string
  /** As in the figures of the step. */
  readonly figure: string
  readonly unit: string
  /** Of each round. */
  readonly ours: readonly number[]
  readonly etcd: readonly number[]
  /** Of the medians, ours through etcd's; undefined without one of them. Goals are about it, but for what a load is to keep. */
  readonly ratio: number | undefined
  readonly goal: Goal | undefined
  readonly isReached: boolean | undefined
}

/** Of the same server: its rate through that of another load. */
const KEPT = 'kept'

type Measured = Omit<Row, 'step' | 'ours' | 'etcd' | 'ratio' | 'isReached'>

export function rowsOf(steps: readonly Step[], ours: Results, etcd: Results): readonly Row[] {
  return steps.flatMap((step) => {
    const rows = measuredBy(step).map((measured) => {
      const [own, theirs] = [valuesOf(ours, step.name, measured.figure), valuesOf(etcd, step.name, measured.figure)]
      const ratio = ratioOf(median(own), median(theirs))
      return {
        step: step.name,
        ...measured,
        ours: own,
        etcd: theirs,
        ratio,
        isReached: isReached(measured.goal, ratio),
      }
    })
    return step.kind === 'load' && step.keeps !== undefined
      ? [...rows, keptRow(step.name, step.keeps, ours, etcd)]
      : rows
  })
}

function valuesOf(results: Results, step: string, figure: string): readonly number[] {
  return (results.get(step) ?? []).flatMap((figures) => figures[figure] ?? []).filter((value) => !Number.isNaN(value))
}

/** Its goal is judged by ours alone. */
function keptRow(step: string, { of, what, atLeast }: Kept, ours: Results, etcd: Results): Row {
  const shareOf = (results: Results): number | undefined =>
    ratioOf(median(valuesOf(results, step, 'perSecond')), median(valuesOf(results, of, 'perSecond')))
  const [own, theirs] = [shareOf(ours), shareOf(etcd)]
  const ratio = ratioOf(own, theirs)
  const goal = { atLeast }
  const values = (value: number | undefined): readonly number[] => (value === undefined ? [] : [value])
  return {
    step,
    what,
    figure: KEPT,
    unit: '',
    ours: values(own),
    etcd: values(theirs),
    ratio,
    goal,
    isReached: isReached(goal, own),
  }
}

function measuredBy(step: Step): readonly Measured[] {
  if (step.kind === 'look')
    return Object.entries(step.measures).map(([figure, { what, unit, goal }]) => ({ what, figure, unit, goal }))
  const { what, rate, p50, p99 } = step
  const goals: Readonly<Record<string, Goal | undefined>> = { perSecond: rate, p50Ms: p50, p99Ms: p99 }
  return Object.entries(LOAD_UNITS).map(([figure, unit]) => ({ what, figure, unit, goal: goals[figure] }))
}

/** All figures of a load, in the order of their columns. */
const LOAD_UNITS = {
  perSecond: '/s',
  p50Ms: 'ms',
  p99Ms: 'ms',
  leaderMicros: 'µs',
  followerMicros: 'µs',
  clientMicros: 'µs',
} as const

function ratioOf(part: number | undefined, whole: number | undefined): number | undefined {
  return part === undefined || whole === undefined || whole === 0 ? undefined : part / whole
}

function isReached(goal: Goal | undefined, ratio: number | undefined): boolean | undefined {
  if (goal === undefined || ratio === undefined) return undefined
  return ratio >= (goal.atLeast ?? 0) && ratio <= (goal.atMost ?? Infinity)
}

/** Two tables: loads with a line each, and the figures that are no load's. Markdown that is aligned for a terminal, too. */
export function printed(rows: readonly Row[]): string {
  const loads = [
    ...Map.groupBy(
      rows.filter(({ figure }) => figure in LOAD_UNITS),
      ({ step }) => step,
    ).values(),
  ]
  const looks = rows.filter(({ figure }) => !(figure in LOAD_UNITS))
  const tables = []
  if (loads.length > 0) tables.push(markdown([LOAD_HEADER, ...loads.map(loadLine)]))
  if (looks.length > 0) tables.push(markdown([LOOK_HEADER, ...looks.map(lookLine)]))
  return tables.join('\n\n')
}

const LOAD_HEADER = [
  'load (ours / etcd)',
  'a second',
  'ratio',
  'asked',
  'p50, ms',
  'p99, ms',
  'leader, µs CPU each',
  'a follower',
  'client',
]
const LOOK_HEADER = ['figure', 'ours', 'etcd', 'ratio', 'asked']

function loadLine(rows: readonly Row[]): readonly string[] {
  const cell = (figure: string): string => {
    const row = rows.find((row) => row.figure === figure)
    return row === undefined ? '' : `${number(median(row.ours))} / ${number(median(row.etcd))}`
  }
  const [{ what, ratio } = { what: '', ratio: undefined }] = rows
  const asked = rows.filter(({ goal }) => goal !== undefined).map(askedOf)
  const figures = Object.keys(LOAD_UNITS).slice(1).map(cell)
  return [what, cell('perSecond'), ratio === undefined ? '' : ratio.toFixed(2), asked.join(', '), ...figures]
}

function lookLine(row: Row): readonly string[] {
  const { what, unit, ours, etcd, ratio } = row
  const value = (values: readonly number[]): string =>
    values.length === 0 ? NONE : `${number(median(values))} ${unit}`.trimEnd()
  return [what, value(ours), value(etcd), ratio === undefined ? '' : ratio.toFixed(2), askedOf(row)]
}

const NONE = '–'
const SHORT_NAMES: Readonly<Record<string, string>> = { p50Ms: 'p50 ', p99Ms: 'p99 ' }

function askedOf({ figure, goal, ratio, isReached }: Row): string {
  if (goal === undefined) return ''
  const bound = goal.atLeast === undefined ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`
  // The ratio of the rate has a column of its own.
  const reached = SHORT_NAMES[figure] === undefined || ratio === undefined ? '' : `: ${ratio.toFixed(2)}`
  const verdict = isReached === undefined ? '' : isReached ? ' ✓' : ' ✗'
  return `${SHORT_NAMES[figure] ?? ''}${bound}${reached}${verdict}`
}

function number(value: number | undefined): string {
  if (value === undefined) return NONE
  if (!Number.isFinite(value)) return 'never'
  if (value === 0) return '0'
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(value >= 1 ? 3 : 2)
}

function markdown(lines: readonly (readonly string[])[]): string {
  const [header = []] = lines
  const widths = header.map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const [first = '', ...rest] = lines.map(line)
  return [first, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rest].join('\n')
}

/** From what two servers did to the lines of one table: which figure is within its bound. Pure. */
import { unreachable } from '../../lib/assert.ts'
import type { Bound, Measure, Outcome, Scenario } from './scenario.ts'

export interface Row {
  readonly scenario: string
  readonly measured: string
  readonly unit: Measure['unit']
  /** Undefined where there is none: the server failed, or was not asked. */
  readonly ours: number | undefined
  readonly etcd: number | undefined
  readonly bound: string
  readonly isBroken: boolean
}

export interface Judgement {
  /** Multiplies the bounds that are multiples. */
  readonly slack: number
  /** How long it took is for the machine to decide, and what else it does: of such figures only that there is one counts. */
  readonly isQuick: boolean
}

export function rowsOf(scenario: Scenario, ours: Outcome, etcd: Outcome, judgement: Judgement): readonly Row[] {
  const elections: Measure = {
    what: 'elections',
    unit: '',
    bound: { kind: 'at-most', most: scenario.mostElections ?? 0 },
  }
  return Object.entries({ ...scenario.measures, elections }).map(([name, measure]) => {
    const [own, theirs] = [figureOf(ours, name), figureOf(etcd, name)]
    const { bound } = measure
    const other = bound.kind !== 'times' ? undefined : bound.of === 'etcd' ? theirs : figureOf(ours, bound.of)
    return rowOf(scenario, measure, own, theirs, limitOf(bound, other, judgement))
  })
}

function figureOf(outcome: Outcome, name: string): number | undefined {
  return outcome.kind === 'figures' ? outcome.figures[name] : undefined
}

/** Any figure that was reached is less. */
const REACHED = Number.MAX_VALUE

/** Undefined for one that is not judged, `NaN` where what it is held against is missing. */
function limitOf(bound: Bound, other: number | undefined, { slack, isQuick }: Judgement): number | undefined {
  switch (bound.kind) {
    case 'none':
      return undefined
    case 'at-most':
      return bound.most
    case 'times':
      if (isQuick) return REACHED
      return other === undefined ? NaN : Math.max(bound.always, bound.times * slack * other)
    default:
      return unreachable(bound)
  }
}

function rowOf(
  { name: scenario }: Scenario,
  { what: measured, unit }: Measure,
  ours: number | undefined,
  etcd: number | undefined,
  limit: number | undefined,
): Row {
  const isBroken = limit !== undefined && !(ours !== undefined && ours <= limit)
  return { scenario, measured, unit, ours, etcd, bound: boundOf(limit, unit), isBroken }
}

function boundOf(limit: number | undefined, unit: Measure['unit']): string {
  if (limit === undefined) return ''
  if (Number.isNaN(limit)) return 'unknown'
  return limit === REACHED ? 'reached' : `≤ ${shown(limit, unit)}`
}

const WIDTHS = [24, 36, 10, 10, 8, 12] as const

export const HEADER = aligned(['scenario', 'measured', 'ours', 'etcd', 'ratio', 'bound'])

export function printed({ scenario, measured, unit, ours, etcd, bound, isBroken }: Row): string {
  const isComparable = ours !== undefined && etcd !== undefined && etcd > 0 && Number.isFinite(ours / etcd)
  const ratio = isComparable ? (ours / etcd).toFixed(2) : ''
  return aligned([scenario, measured, shown(ours, unit), shown(etcd, unit), ratio, bound, isBroken ? 'BROKEN' : ''])
}

function shown(value: number | undefined, unit: Measure['unit']): string {
  if (value === undefined) return 'none'
  if (!Number.isFinite(value)) return 'never'
  const digits = unit === '' || value >= 100 ? 0 : unit === 's' ? 2 : 1
  return `${value.toFixed(digits)} ${unit}`.trimEnd()
}

function aligned(cells: readonly string[]): string {
  const padded = cells.map((cell, i) => {
    const width = WIDTHS[i] ?? 0
    return i < 2 ? cell.padEnd(width) : cell.padStart(width)
  })
  return padded.join(' ').trimEnd()
}

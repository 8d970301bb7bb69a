/**
 * Every way in which voters can be dead when a change of members is asked for: which of one to five, since when, under which
 * change, by which API; and which of the changes are safe, by an arithmetic of its own. Pure.
 */
import { unreachable } from '../../lib/assert.ts'

export type Fate = 'alive' | 'just killed' | 'killed before the election' | 'killed long ago' | 'never started'

export type Change =
  | { readonly kind: 'add'; readonly isLearner: boolean }
  | { readonly kind: 'promote'; readonly learner: Fate }
  | { readonly kind: 'remove' | 'transfer'; readonly whom: Fate | 'leader' }

export interface Case {
  readonly api: 'admin' | 'etcd'
  /** Of the voters that do not lead. */
  readonly fates: readonly Fate[]
  readonly change: Change
  /** The leader's word to take over arrives before what it has sent to all just before. */
  readonly isOvertaking: boolean
}

const MAX_VOTERS = 5

export const quorumOf = (voters: number): number => Math.floor(voters / 2) + 1
/** At the moment of the election, so that there could be one. */
export const isLate = (fate: Fate): boolean => fate === 'alive' || fate === 'just killed'
export const FATES: readonly Fate[] = [
  'alive',
  'just killed',
  'killed before the election',
  'killed long ago',
  'never started',
]

export function* everyCase(): Generator<Case> {
  for (let voters = 1; voters <= MAX_VOTERS; voters++) {
    for (const fates of fatesOf(voters - 1)) {
      if (1 + fates.filter(isLate).length < quorumOf(voters)) continue // nobody could lead
      for (const change of changesOf(fates)) {
        const isHandingOver = change.kind === 'remove' && change.whom === 'leader'
        for (const isOvertaking of isHandingOver ? [false, true] : [false]) {
          yield { api: 'etcd', fates, change, isOvertaking }
          if (change.kind !== 'add' || change.isLearner) yield { api: 'admin', fates, change, isOvertaking }
        }
      }
    }
  }
}

/** In one order of each: voters are alike but for their fate. */
function fatesOf(count: number, from = 0): readonly (readonly Fate[])[] {
  if (count === 0) return [[]]
  return FATES.slice(from).flatMap((fate, i) => fatesOf(count - 1, from + i).map((rest) => [fate, ...rest]))
}

function changesOf(fates: readonly Fate[]): readonly Change[] {
  const whom = [...new Set(fates), 'leader' as const]
  return [
    { kind: 'add', isLearner: false },
    { kind: 'add', isLearner: true },
    { kind: 'promote', learner: 'alive' },
    { kind: 'promote', learner: 'just killed' },
    ...whom.map((one): Change => ({ kind: 'remove', whom: one })),
    ...whom.map((one): Change => ({ kind: 'transfer', whom: one })),
  ]
}

/** By who lives when it is asked, and nothing else. */
export function isSafe({ api, fates, change }: Case): boolean {
  const voters = fates.length + 1
  const living = livingOf(fates)
  if (change.kind === 'transfer' && change.whom === 'leader') return true
  if (living < quorumOf(voters)) return false
  switch (change.kind) {
    case 'add':
      if (voters === 1) return true
      // etcd holds a learner, too, against the quorum.
      return !change.isLearner || api === 'etcd' ? living >= quorumOf(voters + 1) : true
    case 'promote':
      return living + Number(change.learner === 'alive') >= quorumOf(voters + 1)
    case 'remove':
      return voters > 1 && living - Number(isThere(change.whom)) >= quorumOf(voters - 1)
    case 'transfer':
      return isThere(change.whom)
    default:
      return unreachable(change)
  }
}

/** Leadership stays where it is, which a lost quorum cannot write down. */
export const isMute = ({ fates, change }: Case): boolean =>
  change.kind === 'transfer' && change.whom === 'leader' && livingOf(fates) < quorumOf(fates.length + 1)
export const livingOf = (fates: readonly Fate[]): number => 1 + fates.filter((fate) => fate === 'alive').length
const isThere = (whom: Fate | 'leader'): boolean => whom === 'leader' || whom === 'alive'

export function nameOf({ api, fates, change, isOvertaking }: Case): string {
  const { kind, ...about } = change
  const how = isOvertaking ? ', its word to take over comes first' : ''
  return `${api}: ${kind} ${Object.values(about).join()} of ${['leader', ...fates].join(', ')}${how}`
}

/**
 * What the nemesis will do, from a seed alone: an endless sequence of episodes, each of one or two faults that overlap.
 * When they strike in relation to the members' work is not repeatable; what strikes whom, how hard and in what order is.
 *
 * Each round of episodes holds every kind of fault once, so that none is left to chance.
 */
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'

export const MEMBERS = 3

/** Who is hit, found out when the fault strikes. */
export type Victim = 'leader' | 'follower' | 'anyone'

/** `choice` picks among those whom `victim` allows. */
export type Fault = {
  readonly startMs: number
  readonly durationMs: number
  readonly victim: Victim
  readonly choice: number
} & FaultDetail

export type FaultDetail =
  /** SIGKILL. The page cache survives. */
  | { readonly kind: 'kill' }
  /** The process ends and a part of what it had not synced is lost. */
  | { readonly kind: 'power-loss'; readonly seed: number }
  | { readonly kind: 'kill-all' }
  /** All at the same time: what was acknowledged must then have been synced, and is nowhere else. */
  | { readonly kind: 'power-loss-everywhere'; readonly seed: number }
  /** SIGSTOP, for longer than an election. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'partition' }
  /** `deaf`: hears nobody; `mute`: is heard by nobody. */
  | { readonly kind: 'one-way-partition'; readonly way: 'deaf' | 'mute' }
  | { readonly kind: 'slow-link'; readonly delayMs: number }
  | { readonly kind: 'reset'; readonly everyMs: number }
  | { readonly kind: 'half-open' }
  | { readonly kind: 'corrupt-link' }
  | { readonly kind: 'slow-disk'; readonly syncDelayMs: number }
  | { readonly kind: 'disk-error'; readonly where: 'log' | 'store' }
  | { readonly kind: 'disk-full' }
  | { readonly kind: 'clock-jump'; readonly wallJumpMs: number; readonly leapMs: number }
  | { readonly kind: 'clock-drift'; readonly rate: number }
  /** Removed, its directory emptied, added as a learner, promoted. */
  | { readonly kind: 'replace' }
  /** Each member in turn is asked to stop and is started again. */
  | { readonly kind: 'rolling-restart' }
  | { readonly kind: 'transfer' }

export type FaultKind = FaultDetail['kind']

export const FAULT_KINDS: readonly FaultKind[] = [
  'kill',
  'power-loss',
  'kill-all',
  'power-loss-everywhere',
  'stop',
  'partition',
  'one-way-partition',
  'slow-link',
  'reset',
  'half-open',
  'corrupt-link',
  'slow-disk',
  'disk-error',
  'disk-full',
  'clock-jump',
  'clock-drift',
  'replace',
  'rolling-restart',
  'transfer',
]

/** A membership change needs the other two: it is paired only with what takes nobody away. */
const GENTLE: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'slow-link',
  'slow-disk',
  'clock-jump',
  'clock-drift',
  'corrupt-link',
])

export interface Episode {
  /** Counts from 1. */
  readonly number: number
  /** In each, every kind strikes once. Counts from 1. */
  readonly round: number
  /** In the order of their starts. */
  readonly faults: readonly Fault[]
}

const SHORT_MS = { atLeast: 1200, more: 1300 }
/** So that connections time out, which takes five seconds. */
const LONG_MS = { atLeast: 6000, more: 3000 }
const LARGEST_OFFSET_MS = 500
/** Every fourth round is one of long faults. */
const LONG_ROUND = 4

export function* episodes(seed: number): Generator<Episode, never> {
  const random = seeded(seed)
  let number = 0
  for (let round = 1; ; round++) {
    const duration = round % LONG_ROUND === 0 ? LONG_MS : SHORT_MS
    const durationMs = (): number => duration.atLeast + random.below(duration.more)
    for (const kinds of pairs(random)) {
      const faults = kinds.map((kind, index) => ({
        startMs: index === 0 ? 0 : random.below(LARGEST_OFFSET_MS),
        durationMs: durationMs(),
        victim: random.pick<Victim>(['leader', 'leader', 'follower', 'anyone']) ?? 'anyone',
        choice: random.below(MEMBERS * (MEMBERS - 1)),
        ...detail(kind, random),
      }))
      yield { number: ++number, round, faults: faults.toSorted((a, b) => a.startMs - b.startMs) }
    }
  }
}

/** Every kind once, by twos. */
function pairs(random: Random): readonly (readonly FaultKind[])[] {
  const waiting = shuffled(FAULT_KINDS, random)
  const all: FaultKind[][] = []
  for (let kind = waiting.shift(); kind !== undefined; kind = waiting.shift()) {
    const [first] = [kind]
    const at = waiting.findIndex((other) => mayMeet(first, other))
    all.push(at === -1 ? [first] : [first, ...waiting.splice(at, 1)])
  }
  return all
}

function mayMeet(a: FaultKind, b: FaultKind): boolean {
  if (a === 'replace') return GENTLE.has(b)
  return b === 'replace' ? GENTLE.has(a) : true
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const rest = [...items]
  return items.flatMap(() => rest.splice(random.below(rest.length), 1))
}

function detail(kind: FaultKind, random: Random): FaultDetail {
  switch (kind) {
    case 'power-loss':
    case 'power-loss-everywhere':
      return { kind, seed: random.below(2 ** 31) }
    case 'one-way-partition':
      return { kind, way: random.chance(0.5) ? 'deaf' : 'mute' }
    case 'slow-link':
      return { kind, delayMs: 20 + random.below(180) }
    case 'reset':
      return { kind, everyMs: 50 + random.below(350) }
    case 'slow-disk':
      return { kind, syncDelayMs: 30 + random.below(270) }
    case 'disk-error':
      return { kind, where: random.chance(0.7) ? 'log' : 'store' }
    case 'clock-jump':
      return { kind, wallJumpMs: random.below(7_200_000) - 3_600_000, leapMs: random.below(20_000) }
    case 'clock-drift':
      return { kind, rate: random.pick([0.5, 0.8, 1.25, 2]) ?? 2 }
    case 'kill':
    case 'kill-all':
    case 'stop':
    case 'partition':
    case 'half-open':
    case 'corrupt-link':
    case 'disk-full':
    case 'replace':
    case 'rolling-restart':
    case 'transfer':
      return { kind }
    default:
      return kind satisfies never
  }
}

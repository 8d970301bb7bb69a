/** Histories that are right by construction: clients that overlap, on the model itself. */
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { EMPTY, step, type State } from './model.ts'
import type { Operation, Outcome, Request } from './operation.ts'

export interface GenerateOptions {
  readonly seed: number
  readonly operations: number
  readonly clients: number
  /** Share of operations whose outcome nobody learns; half of them have no effect. */
  readonly unknown: number
}

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f']

export function generate({ seed, operations, clients, unknown }: GenerateOptions): Operation[] {
  const random = seeded(seed)
  const history: Operation[] = []
  const past = new Map<number, State>()
  const freeAt = Array.from({ length: clients }, () => 0)
  let state = EMPTY
  let at = 0
  for (let n = 1; n <= operations; n++) {
    // Effects come one after the other; calls and returns lie around them and overlap those of others.
    at += 1
    past.set(state.revision, state)
    const client = freeAt.findIndex((free) => free < at)
    if (client < 0) continue
    const request = anyRequest(random, n, state)
    const call = Math.max(freeAt[client] ?? 0, at - random.next() * clients)
    const end = at + random.next() * clients * 0.5
    freeAt[client] = end
    const isUnknown = request.kind !== 'range' && random.chance(unknown)
    const isLost = isUnknown && random.chance(0.5)
    const result = isLost ? undefined : step(state, request, (revision) => past.get(revision))
    if (result?.kind === 'done') state = result.state
    const outcome: Outcome =
      isUnknown || result === undefined
        ? { kind: 'unknown' }
        : result.kind === 'done'
          ? { kind: 'answer', answer: result.answer }
          : { kind: 'refusal', refusal: result.refusal }
    history.push({ client, member: `m${1 + (n % 3)}`, call, return: end, request, outcome })
  }
  return history
}

function anyRequest(random: Random, n: number, state: State): Request {
  const key = random.pick(KEYS) ?? 'a'
  const leases = [...state.leases.keys()]
  const roll = random.below(100)
  if (roll < 35) {
    const lease = random.chance(0.2) ? (random.pick(leases) ?? '0') : '0'
    return { kind: 'put', key, value: `v${n}`, lease, prevKv: random.chance(0.5) }
  }
  if (roll < 60)
    return { kind: 'range', key, rangeEnd: random.chance(0.3) ? 'z' : '', revision: 0, serializable: false }
  if (roll < 70) return { kind: 'delete', key, rangeEnd: random.chance(0.1) ? 'z' : '', prevKv: random.chance(0.5) }
  if (roll < 90) {
    const mod = state.keys.get(key)?.modRevision ?? 0
    return {
      kind: 'txn',
      compares: [{ key, target: 'mod', result: '=', operand: random.chance(0.7) ? mod : mod + 1 }],
      success: [{ kind: 'put', key, value: `t${n}`, lease: '0', prevKv: true }],
      failure: [{ kind: 'range', key, rangeEnd: '', revision: 0, serializable: false }],
    }
  }
  // Long leases: they do not end by themselves within the history.
  if (roll < 94) return { kind: 'grant', id: String(n), ttlSeconds: 1e9 }
  if (roll < 97) return { kind: 'revoke', id: random.pick(leases) ?? '1' }
  return { kind: 'compact', revision: Math.max(1, state.revision - random.below(20)) }
}

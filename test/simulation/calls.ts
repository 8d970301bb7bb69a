/** Calls of clients to members: they take time, answers get lost with the process, and clients do not wait forever. */
import type { CallContext, RpcStatus, RpcStream } from '../../node-server/grpc/service.ts'
import { LeaseRevokeResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Life } from './life.ts'
import type { SimulatedMember } from './member.ts'
import type { World } from './world.ts'

/** `lost`: whether it was carried out is not known. `refused`: nobody was there to take it. */
export type CallOutcome =
  | { readonly kind: 'answer'; readonly bytes: Uint8Array }
  | { readonly kind: 'status'; readonly status: RpcStatus }
  | { readonly kind: 'lost' }
  | { readonly kind: 'refused' }

const CLIENT_TIMEOUT_MS = 8000
const IMPATIENT_TIMEOUT_MS = 60

/** That a request, or an answer, takes at most. */
export const MAX_LATENCY_MS = 1.2
const MIN_LATENCY_MS = 0.2

function latencyMs(world: World): number {
  return MIN_LATENCY_MS + world.random.next() * (MAX_LATENCY_MS - MIN_LATENCY_MS)
}

/** `commonName`: of the certificate that the client shows. */
export function call(
  world: World,
  member: SimulatedMember,
  path: string,
  request: Uint8Array,
  commonName?: string,
): Promise<CallOutcome> {
  return new Promise((resolve) => {
    let isSettled = false
    const gone = new AbortController()
    const settle = (outcome: CallOutcome): void => {
      if (isSettled) return
      isSettled = true
      world.after(latencyMs(world), () => resolve(outcome))
    }
    const giveUp = (): void => {
      if (isSettled) return
      world.coverage.note('client gives up waiting')
      settle({ kind: 'lost' })
      member.life?.clock.enter(() => gone.abort())
    }
    world.after(world.random.chance(0.01) ? IMPATIENT_TIMEOUT_MS : CLIENT_TIMEOUT_MS, giveUp)
    world.schedule.after(latencyMs(world), () => {
      const { life } = member
      const method = life?.services?.[path]
      if (life === undefined || method?.kind !== 'unary') return settle({ kind: 'refused' })
      const onEnd = (): void => settle({ kind: 'lost' })
      life.onEnd.add(onEnd)
      life.clock.enter(() => {
        const told = Promise.resolve(method.handle(request, context(gone.signal, commonName))).then((answer) => {
          life.onEnd.delete(onEnd)
          if (answer.ok) look(world, life, answer.value)
          settle(answer.ok ? { kind: 'answer', bytes: answer.value } : { kind: 'status', status: answer.error })
        })
        told.catch((error: unknown) => world.fail(error))
      })
    })
  })
}

/** Every answer begins with the same header. */
function look(world: World, { seen }: Life, answer: Uint8Array): void {
  const { header } = LeaseRevokeResponse.decode(answer)
  if (seen !== undefined && header !== undefined) world.oracle.answered(header.revision, seen)
}

function context(signal: AbortSignal, commonName?: string): CallContext {
  return { metadata: () => undefined, signal, peer: 'client', commonName }
}

/** A stream to one life of a member. */
export interface ClientStream {
  send(request: Uint8Array): void
  /** The client goes away. */
  cancel(): void
}

export interface StreamEvents {
  onResponse(response: Uint8Array): void
  /** Once: the member ended it, or is gone. */
  onEnd(status: RpcStatus | undefined): void
}

/** Undefined when nobody is there. `readMs` is how long the client takes for each response. */
export function openStream(
  world: World,
  member: SimulatedMember,
  path: string,
  events: StreamEvents,
  readMs: () => number,
): ClientStream | undefined {
  const { life } = member
  const method = life?.services?.[path]
  if (life === undefined || method?.kind !== 'stream') return undefined
  const requests = new Requests()
  const gone = new AbortController()
  let hasEnded = false
  const end = (status: RpcStatus | undefined): void => {
    if (hasEnded) return
    hasEnded = true
    life.streams.delete(lost)
    world.after(latencyMs(world), () => events.onEnd(status))
  }
  const lost = (): void => {
    end(undefined)
    life.clock.after(0, () => requests.end())
  }
  life.streams.add(lost)
  // One after the other, as on one connection.
  let arrivesMs = 0
  let takesMs = 0
  const write: RpcStream['write'] = (responses) => {
    if (hasEnded) return false
    takesMs = 0
    for (const parts of responses) {
      const oneMs = readMs()
      takesMs += oneMs
      arrivesMs = Math.max(arrivesMs, world.schedule.now + latencyMs(world)) + oneMs
      world.after(arrivesMs - world.schedule.now, () => {
        if (!gone.signal.aborted) events.onResponse(Buffer.concat(parts))
      })
    }
    return takesMs === 0
  }
  const drained = (): Promise<boolean> =>
    hasEnded ? Promise.resolve(false) : new Promise((resolve) => life.clock.after(takesMs, () => resolve(!hasEnded)))
  const stream: RpcStream = { requests, write, drained }
  life.clock.after(latencyMs(world), () => {
    method.handle(stream, context(gone.signal)).then(end, (error: unknown) => world.fail(error))
  })
  return {
    send: (request) => life.clock.after(latencyMs(world), () => requests.push(request)),
    cancel: () => {
      hasEnded = true
      life.streams.delete(lost)
      life.clock.after(latencyMs(world), () => {
        requests.end()
        gone.abort()
      })
    },
  }
}

/** What a client has sent and the handler has not taken. */
class Requests implements AsyncIterable<Uint8Array> {
  readonly #waiting: Uint8Array[] = []
  #wake: (() => void) | undefined
  #hasEnded = false

  push(request: Uint8Array): void {
    this.#waiting.push(request)
    this.#wake?.()
  }

  end(): void {
    this.#hasEnded = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else if (this.#hasEnded) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

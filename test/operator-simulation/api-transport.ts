/**
 * The way from one operator process to the API server: it takes time, loses requests and answers, refuses, and ends calls
 * at their time limit. Real code above it: operator/kube's client, reflector and stores.
 *
 * A request that has not arrived within its time limit never does, as TCP's would not: the operator's lease relies on it.
 */
import { ApiError, errorOfStatus } from '../../operator/kube/api-error.ts'
import type { Connection } from '../../operator/kube/connection.ts'
import { type Call, describe, Transport } from '../../operator/kube/transport.ts'
import type { Clock } from '../../lib/clock.ts'
import type { WatchedEvent } from './api-server.ts'
import type { Fault } from './coverage.ts'
import { parseSelector } from './api-server.ts'
import { type Path, parsePath, serve } from './api-paths.ts'
import type { OperatorProcess } from './operator-process.ts'
import type { World } from './world.ts'

const NO_CONNECTION: Connection = {
  endpoint: () => Promise.reject(new Error('this world has no sockets')),
  invalidate: () => undefined,
  close: () => Promise.resolve(),
}

/** What is to become of one request. */
type Fate = 'done' | 'refused' | 'throttled' | 'lost' | 'answer lost'

const FATES: Readonly<Record<Fate, Fault | undefined>> = {
  done: undefined,
  refused: 'API server error',
  throttled: 'API server throttles (429)',
  lost: 'request to the API server lost',
  'answer lost': 'answer of the API server lost after it acted',
}

export class SimulatedTransport extends Transport {
  readonly #world: World
  readonly #process: OperatorProcess

  constructor(world: World, process: OperatorProcess, clock: Clock) {
    super({ connection: NO_CONNECTION, clock })
    this.#world = world
    this.#process = process
  }

  override exchange(call: Call): Promise<unknown> {
    const path = parsePath(call.path)
    const isMutation = call.method !== 'GET'
    const isOurs = path.kind !== 'Lease'
    if (isMutation && isOurs) this.#process.beforeCall()
    return new Promise((resolve, reject) => {
      if (this.#process.isDead) return
      const settle = this.#settleOnce(call, reject)
      const refused = this.#world.refusal?.errorOf(call, path)
      if (refused !== undefined) {
        const waitMs = refused.status === 0 && refused.problem === 'Timeout' ? call.timeoutMs : 2
        this.#answer(waitMs, () => settle(() => reject(refused)))
        return
      }
      const fate = this.#fate(isOurs)
      const delayMs = this.#delayMs(isMutation)
      if (fate === 'refused' || fate === 'throttled') {
        const code = fate === 'throttled' ? 429 : 500
        this.#answer(delayMs, () => settle(() => reject(errorOfStatus(code, { message: fate }, describe(call)))))
        return
      }
      if (fate === 'lost' || delayMs >= call.timeoutMs) return this.#loseAnswer(call, settle, reject)
      this.#world.schedule.after(delayMs, () => this.#arrive(call, path, fate, settle, resolve, reject))
    })
  }

  #arrive(
    call: Call,
    path: Path,
    fate: Fate,
    settle: (end: () => void) => void,
    resolve: (body: unknown) => void,
    reject: (error: unknown) => void,
  ): void {
    const isMutation = call.method !== 'GET'
    const world = this.#world
    if (call.signal?.aborted === true) return
    if (isMutation && path.subresource === 'status') this.#interfere()
    const answer = world.checked(() => serve(world, this.#process, call, path))
    if (answer === undefined) return
    if (isMutation && path.kind !== 'Lease') this.#process.afterCall()
    if (fate === 'answer lost') return this.#loseAnswer(call, settle, reject)
    const deliver = (): void =>
      settle(() =>
        answer.status < 300 ? resolve(answer.body) : reject(errorOfStatus(answer.status, answer.body, describe(call))),
      )
    // A read is answered with what was there when it arrived, which is the moment in which the answer comes, too.
    if (isMutation) this.#answer(1, deliver)
    else this.#process.enter(deliver)
  }

  #answer(delayMs: number, deliver: () => void): void {
    this.#world.schedule.after(delayMs, () => this.#process.enter(deliver))
  }

  /** Reset at once, or silence until the time limit. */
  #loseAnswer(call: Call, settle: (end: () => void) => void, reject: (error: unknown) => void): void {
    const isReset = this.#world.random.chance(0.7)
    const problem = isReset ? 'Unreachable' : 'Timeout'
    this.#answer(isReset ? 2 : Math.min(call.timeoutMs, 60_000), () =>
      settle(() => reject(new ApiError(problem, `${describe(call)}: no answer`))),
    )
  }

  /** One end only; the caller's signal is one, too. */
  #settleOnce(call: Call, reject: (error: unknown) => void): (end: () => void) => void {
    let isOver = false
    const settle = (end: () => void): void => {
      if (isOver) return
      isOver = true
      call.signal?.removeEventListener('abort', onAbort)
      end()
    }
    const onAbort = (): void => settle(() => reject(new ApiError('Aborted', `${describe(call)}: aborted`)))
    if (call.signal?.aborted === true) onAbort()
    else call.signal?.addEventListener('abort', onAbort, { once: true })
    return settle
  }

  #fate(isOurs: boolean): Fate {
    const { faults, random, coverage } = this.#world
    // The lease is renewed all the time, and losing it is a fault of its own.
    const scale = isOurs ? 1 : 0.3
    let left = random.next() / scale
    const fates = [
      ['refused', faults.apiError],
      ['throttled', faults.throttle],
      ['lost', faults.requestLost],
      ['answer lost', faults.answerLost],
    ] as const
    for (const [fate, share] of fates) {
      left -= share
      if (left >= 0) continue
      coverage.note(FATES[fate] ?? '')
      return fate
    }
    return 'done'
  }

  #delayMs(isMutation: boolean): number {
    const { faults, random, coverage } = this.#world
    if (!random.chance(faults.slow)) return isMutation ? 1 + random.below(4) : 1
    coverage.note('slow API server')
    return 50 + random.below(isMutation ? 6000 : 2000)
  }

  #interfere(): void {
    const { faults, random, coverage } = this.#world
    if (!random.chance(faults.conflict)) return
    coverage.note('conflict with somebody else’s write')
    this.#world.touch()
  }

  override async open(call: Call, idleMs: number): Promise<AsyncIterable<Uint8Array>> {
    const path = parsePath(call.path)
    const { random, faults, server } = this.#world
    await this.#process.sleep(1 + random.below(3))
    if (random.chance(faults.apiError)) throw errorOfStatus(500, {}, describe(call))
    const stream = new Stream(call.signal)
    const isSilent = random.chance(faults.watchSilent)
    const isMetadataOnly = call.accept?.includes(METADATA) === true
    let lastAtMs = 0
    const onEvent = (event: WatchedEvent): void => {
      if (isSilent || stream.isOver) return
      const line = lineOf(event, isMetadataOnly)
      lastAtMs = Math.max(lastAtMs, this.#world.schedule.now + this.#eventDelayMs())
      this.#process.after(lastAtMs - this.#world.schedule.now, () => stream.push(line))
      if (random.chance(faults.watchBreak)) this.#break(stream)
    }
    const selector = parseSelector(call.query?.['labelSelector'])
    const stop = server.watch({ kind: path.kind, selector, onEvent }, Number(call.query?.['resourceVersion'] ?? '0'))
    if (stop === undefined) {
      this.#world.coverage.note('watch told that its version is too old (410)')
      throw errorOfStatus(410, { reason: 'Expired' }, describe(call))
    }
    stream.onOver = stop
    if (isSilent) {
      this.#world.coverage.note('watch silent until its idle limit')
      this.#process.after(idleMs, () => stream.fail(new ApiError('Timeout', 'the watch is idle')))
    }
    this.#process.after(Number(call.query?.['timeoutSeconds'] ?? '300') * 1000, () => stream.end())
    this.#process.streams.add(stream)
    return stream
  }

  #break(stream: Stream): void {
    this.#world.coverage.note('watch broken')
    this.#process.after(1, () => stream.fail(new ApiError('Unreachable', 'the connection was reset')))
  }

  #eventDelayMs(): number {
    const { faults, random, coverage } = this.#world
    if (!random.chance(faults.watchLate)) return 1 + random.below(5)
    coverage.note('watch events late')
    return 500 + random.below(8000)
  }
}

const METADATA = 'PartialObjectMetadata'

function lineOf(event: WatchedEvent, isMetadataOnly: boolean): Buffer {
  const { type, object } = event
  if (!isMetadataOnly) return (event.line ??= encode({ type, object }))
  const { metadata } = object
  return (event.metadataLine ??= encode({ type, object: { apiVersion: 'meta.k8s.io/v1', kind: METADATA, metadata } }))
}

function encode(event: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(event)}\n`)
}

/** The body of a watch. One reader, who is fed or ended. */
class Stream implements AsyncIterable<Uint8Array> {
  readonly #lines: Uint8Array[] = []
  #reader: { resolve: (result: IteratorResult<Uint8Array>) => void; reject: (error: unknown) => void } | undefined
  #error: unknown
  isOver = false
  onOver: () => void = () => undefined

  constructor(signal: AbortSignal | undefined) {
    signal?.addEventListener('abort', () => this.end(), { once: true })
  }

  push(line: Uint8Array): void {
    if (this.isOver) return
    const reader = this.#reader
    this.#reader = undefined
    if (reader === undefined) this.#lines.push(line)
    else reader.resolve({ done: false, value: line })
  }

  end(): void {
    this.#over(undefined)
  }

  fail(error: unknown): void {
    this.#over(error)
  }

  #over(error: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.#error = error
    this.onOver()
    const reader = this.#reader
    this.#reader = undefined
    if (error === undefined) reader?.resolve({ done: true, value: undefined })
    else reader?.reject(error)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => {
        const line = this.#lines.shift()
        if (line !== undefined) return Promise.resolve({ done: false, value: line })
        if (this.#error !== undefined) return Promise.reject(this.#error)
        if (this.isOver) return Promise.resolve({ done: true, value: undefined })
        return new Promise<IteratorResult<Uint8Array, undefined>>((resolve, reject) => {
          this.#reader = { resolve, reject }
        })
      },
      return: () => {
        this.end()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }
}

export type { Stream }

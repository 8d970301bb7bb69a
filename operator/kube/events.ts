/**
 * Events of events.k8s.io/v1 for people who run `kubectl describe`. A repeated event raises the count of the first one
 * instead of becoming another; what cannot be written is logged and never an error of the caller.
 *
 * Bounds: MAX_REMEMBERED events are known at once, the quietest is forgotten first; one request at a time; a series is
 * written at most every SERIES_EVERY_MS.
 */
import type { Logger } from 'pino'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { EventSink, EventType, KubeObject } from '../cluster/ports.ts'
import type { KubeClient } from './client.ts'
import type { ObjectName } from './object.ts'
import { isProblem } from './api-error.ts'
import { apiVersionOf } from './object.ts'

const MAX_REMEMBERED = 512
const SERIES_EVERY_MS = 10_000
/** A series that was quiet for so long is over; the next occurrence starts a new event. */
const SERIES_ENDS_AFTER_MS = 360_000
const MAX_NOTE_BYTES = 1000

export interface EventSubject extends ObjectName {
  readonly apiVersion: string
  readonly kind: string
  readonly uid: string
}

export interface OperatorEvent {
  readonly regarding: EventSubject
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, for machines. */
  readonly reason: string
  /** CamelCase: what the operator was doing. */
  readonly action: string
  /** For people. */
  readonly note: string
}

interface Series {
  readonly event: OperatorEvent
  readonly name: string
  readonly firstWallMs: number
  lastWallMs: number
  lastMs: number
  count: number
  /** 0: not in Kubernetes yet. */
  writtenCount: number
  writtenAtMs: number
}

export interface EventRecorderOptions {
  readonly client: KubeClient
  readonly clock: Clock
  readonly logger: Logger
  /** Qualified name of the controller, e.g. raftkv.dev/raftcluster-operator. */
  readonly controller: string
  /** Identity of this process; at most 128 characters. */
  readonly instance: string
  /** Unique suffix of an event's name: lower-case letters and digits. */
  readonly newSuffix: () => string
}

export class EventRecorder implements EventSink {
  readonly #options: EventRecorderOptions
  /** Most recently used last. */
  readonly #series = new Map<string, Series>()
  #isWriting = false
  #timer: Timer | undefined
  droppedTotal = 0

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  emit(about: KubeObject, type: EventType, reason: string, action: string, message: string): void {
    const { apiVersion, kind, metadata } = about
    const { name, namespace = 'default', uid = '' } = metadata
    this.record({ regarding: { apiVersion, kind, namespace, name, uid }, type, reason, action, note: message })
  }

  record(event: OperatorEvent): void {
    const nowMs = this.#options.clock.monotonicMs()
    const key = JSON.stringify([event.regarding.uid, event.type, event.reason, event.action, event.note])
    const known = this.#series.get(key)
    this.#series.delete(key)
    const series = known !== undefined && nowMs - known.lastMs < SERIES_ENDS_AFTER_MS ? known : this.#begin(event)
    series.count++
    series.lastMs = nowMs
    series.lastWallMs = this.#options.clock.wallMs()
    this.#series.set(key, series)
    if (this.#series.size > MAX_REMEMBERED) this.#forgetQuietest()
    void this.#write()
  }

  /** Writes what is due, waiting no longer than `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    this.#timer?.cancel()
    const deadlineMs = this.#options.clock.monotonicMs() + timeoutMs
    for (const series of this.#series.values()) {
      if (this.#options.clock.monotonicMs() >= deadlineMs) return
      if (series.count > series.writtenCount) await this.#put(series)
    }
  }

  #begin(event: OperatorEvent): Series {
    const wallMs = this.#options.clock.wallMs()
    const name = `${event.regarding.name.slice(0, 200)}.${this.#options.newSuffix()}`
    return {
      event,
      name,
      firstWallMs: wallMs,
      lastWallMs: wallMs,
      lastMs: 0,
      count: 0,
      writtenCount: 0,
      writtenAtMs: 0,
    }
  }

  #forgetQuietest(): void {
    const quietest = this.#series.entries().next().value
    if (quietest === undefined) return
    this.#series.delete(quietest[0])
    if (quietest[1].writtenCount === 0) this.droppedTotal++
  }

  /** One writer at a time; it ends when nothing is due, and comes back when something will be. */
  async #write(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    this.#timer?.cancel()
    for (let next = this.#nextDue(); next !== undefined; next = this.#nextDue()) await this.#put(next)
    this.#isWriting = false
    const isOwed = [...this.#series.values()].some((series) => series.count > series.writtenCount)
    if (isOwed) this.#timer = this.#options.clock.setTimer(SERIES_EVERY_MS, () => void this.#write())
  }

  #nextDue(): Series | undefined {
    const nowMs = this.#options.clock.monotonicMs()
    return [...this.#series.values()].find(
      (series) =>
        series.count > series.writtenCount &&
        (series.writtenCount === 0 || nowMs - series.writtenAtMs >= SERIES_EVERY_MS),
    )
  }

  async #put(series: Series): Promise<void> {
    const { client, clock, logger } = this.#options
    const { count } = series
    const { namespace } = series.event.regarding
    const isNew = series.writtenCount === 0
    // Before the request: one that fails is not tried again until it occurs again.
    series.writtenCount = count
    series.writtenAtMs = clock.monotonicMs()
    try {
      if (isNew) await client.create(this.#object(series))
      else await client.patch('Event', { namespace, name: series.name }, { series: seriesOf(series, count) })
    } catch (error) {
      if (isProblem(error, 'NotFound')) series.writtenCount = 0 // expired in Kubernetes: the next occurrence makes a new one
      logger.warn({ reason: series.event.reason, error }, 'an event was not written')
    }
  }

  #object(series: Series) {
    const { event, name, count, firstWallMs } = series
    const { regarding, type, reason, action, note } = event
    return {
      apiVersion: apiVersionOf('Event'),
      kind: 'Event',
      metadata: { name, namespace: regarding.namespace },
      eventTime: microTime(firstWallMs),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      regarding,
      type,
      reason,
      action,
      note: cut(note, MAX_NOTE_BYTES),
      ...(count > 1 ? { series: seriesOf(series, count) } : {}),
    }
  }
}

function seriesOf(series: Series, count: number) {
  return { count, lastObservedTime: microTime(series.lastWallMs) }
}

function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8')
  return bytes.length <= maxBytes ? text : `${bytes.toString('utf8', 0, maxBytes - 8).replace(/\uFFFD$/, '')}…`
}

/** RFC 3339 with microseconds. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z')
}

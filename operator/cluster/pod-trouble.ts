/**
 * Why a pod does not run or does not serve, in the words of the component that stands in its way: the scheduler, the kubelet, the
 * container's own last line. Pure.
 */
import { z } from 'zod'
import type { PodTrouble } from './observed.ts'

const Terminated = z.object({
  reason: z.string().default(''),
  exitCode: z.number().default(0),
  message: z.string().default(''),
  finishedAt: z.string().nullish(),
})

const Container = z.object({
  ready: z.boolean().default(false),
  state: z
    .object({
      running: z.object({ startedAt: z.string().nullish() }).optional(),
      waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
      terminated: Terminated.optional(),
    })
    .prefault({}),
  lastState: z.object({ terminated: Terminated.optional() }).prefault({}),
})

const Condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
  lastTransitionTime: z.string().nullish(),
})

export const PodStatus = z.object({
  phase: z.string().default(''),
  reason: z.string().default(''),
  message: z.string().default(''),
  podIP: z.string().optional(),
  conditions: z.array(Condition).default([]),
  initContainerStatuses: z.array(Container).default([]),
  containerStatuses: z.array(Container).default([]),
})

export type PodStatus = z.output<typeof PodStatus>

/** The kubelet's words while it waits for volumes and the network; they have reasons of their own when these fail. */
const STARTING: ReadonlySet<string> = new Set(['', 'ContainerCreating', 'PodInitializing'])
const OF_THE_IMAGE = /ImagePull|InvalidImageName|ErrImage|RegistryUnavailable|ImageInspect/
/** A container that ended this short a while ago may end again: what it said then is still the news. */
const RECENT_MS = 60_000
/** While a volume is made for a new pod the scheduler refuses it a node, at every growth. */
const UNSCHEDULED_MS = 10_000
/** Starting and reading the log may take as long; a learner that catches up is not ready either, and says so itself. */
const NOT_READY_MS = 30_000
const MAX_LINE_CHARACTERS = 300

/** The worst of it. Undefined for a pod that starts, runs or ends as it should. */
export function podTrouble(status: PodStatus, nowMs: number): PodTrouble | undefined {
  if (status.phase === 'Failed') return failed(status)
  return unscheduled(status, nowMs) ?? ofContainers(status, nowMs) ?? unattached(status) ?? notReady(status, nowMs)
}

function failed({ reason, message, containerStatuses }: PodStatus): PodTrouble {
  const ended = containerStatuses[0]?.state.terminated
  if (reason === '' && ended !== undefined) return crashed(ended)
  return { kind: 'failed', sinceMs: 0, message: `${reason}: ${message}` }
}

function unscheduled({ phase, conditions }: PodStatus, nowMs: number): PodTrouble | undefined {
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (phase !== 'Pending' || scheduled === undefined || scheduled.status === 'True') return undefined
  const sinceMs = timeOf(scheduled.lastTransitionTime)
  if (nowMs - sinceMs < UNSCHEDULED_MS) return undefined
  return { kind: 'unschedulable', sinceMs, message: scheduled.message }
}

function ofContainers({ initContainerStatuses, containerStatuses }: PodStatus, nowMs: number): PodTrouble | undefined {
  for (const { ready, state, lastState } of [...initContainerStatuses, ...containerStatuses]) {
    const { waiting } = state
    const last = state.terminated ?? lastState.terminated
    if (waiting !== undefined && OF_THE_IMAGE.test(waiting.reason))
      return { kind: 'image', sinceMs: 0, message: `${waiting.reason}: ${waiting.message}` }
    const isNews = !ready && last !== undefined && last.exitCode !== 0
    if (isNews && (state.running === undefined || nowMs - timeOf(last.finishedAt) < RECENT_MS)) return crashed(last)
    if (waiting !== undefined && !STARTING.has(waiting.reason) && last === undefined)
      return { kind: 'container', sinceMs: 0, message: `${waiting.reason}: ${waiting.message}` }
  }
  return undefined
}

function crashed({ reason, exitCode, message, finishedAt }: z.output<typeof Terminated>): PodTrouble {
  const sinceMs = timeOf(finishedAt)
  const line = lastLine(message)
  const said = line === '' ? '' : `; last line of its log: ${line}`
  if (reason === 'OOMKilled')
    return { kind: 'memory', sinceMs, message: `its container ran out of memory (OOMKilled)${said}` }
  return { kind: 'crash', sinceMs, message: `its container exited with code ${exitCode} (${reason})${said}` }
}

/** A line of a member's log is JSON: its message is what people want to read. */
function lastLine(log: string): string {
  const line = log.trimEnd().split('\n').at(-1) ?? ''
  const known = Line.safeParse(parsed(line))
  return (known.success ? known.data.msg : line).slice(0, MAX_LINE_CHARACTERS)
}

const Line = z.object({ msg: z.string() })

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** It has a node, and nothing starts there. */
function unattached({ phase, conditions, containerStatuses }: PodStatus): PodTrouble | undefined {
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (phase !== 'Pending' || scheduled?.status !== 'True') return undefined
  const message = containerStatuses[0]?.state.waiting?.message ?? ''
  return { kind: 'volume', sinceMs: timeOf(scheduled.lastTransitionTime), message }
}

function notReady({ phase, conditions }: PodStatus, nowMs: number): PodTrouble | undefined {
  const ready = conditions.find(({ type }) => type === 'ContainersReady' || type === 'Ready')
  if (phase !== 'Running' || ready === undefined || ready.status === 'True') return undefined
  const sinceMs = timeOf(ready.lastTransitionTime)
  if (!(nowMs - sinceMs >= NOT_READY_MS)) return undefined
  return { kind: 'not-ready', sinceMs, message: ready.message === '' ? 'it runs and is not ready' : ready.message }
}

function timeOf(text: string | null | undefined): number {
  return Date.parse(text ?? '')
}

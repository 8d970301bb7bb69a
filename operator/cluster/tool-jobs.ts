/** Jobs that run a tool of the members' program, as they are read: how they ended, and what they reported. Pure. */
import { z } from 'zod'
import { PodStatus, podTrouble } from './pod-trouble.ts'
import type { KubeObject } from './ports.ts'
import { TOOL_CONTAINER } from './resources/tool-pod.ts'
import type { JobEnd, ToolPod } from './tool-end.ts'

const JobStatus = z.object({
  startTime: z.string().optional(),
  completionTime: z.string().optional(),
  conditions: z
    .array(
      z.object({
        type: z.string(),
        status: z.string(),
        reason: z.string().default(''),
        message: z.string().default(''),
        lastTransitionTime: z.string().optional(),
      }),
    )
    .default([]),
})

export function jobStart(job: KubeObject): string {
  return JobStatus.parse(job['status'] ?? {}).startTime ?? job.metadata.creationTimestamp ?? ''
}

/** Undefined while it is under way. */
export function jobEnd(job: KubeObject): JobEnd | undefined {
  const { conditions, completionTime } = JobStatus.parse(job['status'] ?? {})
  const last = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True')
  if (last === undefined) return undefined
  const { type, reason, message, lastTransitionTime } = last
  return { isComplete: type === 'Complete', at: completionTime ?? lastTransitionTime ?? jobStart(job), reason, message }
}

const Ended = z.object({
  containerStatuses: z
    .array(
      z.object({
        name: z.string(),
        state: z.object({
          terminated: z.object({ exitCode: z.number(), message: z.string().default('') }).optional(),
        }),
      }),
    )
    .default([]),
})

export function toolPod(object: KubeObject, nowMs: number): ToolPod {
  const { metadata } = object
  const status = PodStatus.parse(object['status'] ?? {})
  const containers = Ended.safeParse(object['status']).data?.containerStatuses ?? []
  const ended = containers.find(({ name }) => name === TOOL_CONTAINER)?.state.terminated
  return {
    name: metadata.name,
    createdAt: metadata.creationTimestamp ?? '',
    isOver: status.phase === 'Succeeded' || status.phase === 'Failed',
    isSuccess: status.phase === 'Succeeded' && ended?.exitCode === 0,
    message: ended?.message ?? '',
    trouble: podTrouble(status, nowMs)?.message,
    ip: status.podIP,
  }
}

/** Why it failed, from the newest pod that reports a reason. */
export function messageOf(pods: readonly ToolPod[]): string | undefined {
  const newestFirst = pods.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  const failed = newestFirst.find(
    ({ isSuccess, message, trouble }) => !isSuccess && (message !== '' || trouble !== undefined),
  )
  if (failed === undefined) return undefined
  return failed.message === '' ? failed.trouble : lastLines(failed.message)
}

/** The last thing that the tool printed, without the lines before it. */
function lastLines(message: string): string {
  const lines = message.trim().split('\n')
  const start = lines.findLastIndex((line) => line.startsWith('Error: '))
  return (start === -1 ? lines.slice(-1) : lines.slice(start)).join('\n').replace(/^Error: /, '')
}

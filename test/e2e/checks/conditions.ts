/** Conditions of the RaftCluster held against what was going on. Pure. */
import type { Interval } from './writes.ts'

export interface ClusterSeen {
  readonly atMs: number
  readonly generation: number
  readonly observedGeneration: number
  readonly replicas: number
  readonly voters: number
  readonly readyReplicas: number
  readonly conditions: Readonly<Record<string, ConditionSeen>>
}

export interface ConditionSeen {
  readonly status: string
  readonly reason: string
  readonly observedGeneration: number
}

/** A step of the scenario during which members come or go. */
export interface Phase extends Interval {
  readonly title: string
  /** Members come or go, so Ready must have been False and Progressing True for a while. */
  readonly isScaling: boolean
  /** A member was taken away by force, so Available may have been False for a while. */
  readonly mayBeUnavailable: boolean
}

export function checkConditions(seen: readonly ClusterSeen[], phases: readonly Phase[]): string[] {
  return [...seen.flatMap((sample) => checkSample(sample)), ...phases.flatMap((phase) => checkPhase(seen, phase))]
}

/** What must hold in every sample by itself. */
function checkSample(sample: ClusterSeen): string[] {
  const problems: string[] = []
  const ready = sample.conditions['Ready']
  for (const [type, { reason }] of Object.entries(sample.conditions)) {
    if (reason === '') problems.push(`${type} has no reason`)
  }
  if (ready?.status === 'True' && ready.observedGeneration === sample.generation) {
    if (sample.voters !== sample.replicas) problems.push(`Ready with ${sample.voters} voters of ${sample.replicas}`)
    if (sample.readyReplicas < sample.replicas) {
      problems.push(`Ready with ${sample.readyReplicas} ready pods of ${sample.replicas}`)
    }
    if (sample.conditions['Progressing']?.status === 'True') problems.push('Ready and Progressing at once')
  }
  if (sample.conditions['QuorumLost']?.status === 'True') problems.push('QuorumLost, though a quorum was never lost')
  if (sample.conditions['ClusterIDMismatch']?.status === 'True') problems.push('ClusterIDMismatch')
  return problems.map((problem) => `at ${new Date(sample.atMs).toISOString()}: ${problem}`)
}

function checkPhase(seen: readonly ClusterSeen[], phase: Phase): string[] {
  const within = seen.filter(({ atMs }) => atMs >= phase.fromMs && atMs <= phase.untilMs)
  const was = (type: string, status: string): boolean =>
    within.some(({ conditions }) => conditions[type]?.status === status)
  const problems: string[] = []
  if (phase.isScaling && !was('Ready', 'False')) problems.push('Ready was never False')
  if (phase.isScaling && !was('Progressing', 'True')) problems.push('Progressing was never True')
  if (!phase.mayBeUnavailable && was('Available', 'False')) problems.push('Available was False')
  const last = within.at(-1)
  const settled: Record<string, string> = {
    Ready: 'True',
    Available: 'True',
    Progressing: 'False',
    ScaleComplete: 'True',
  }
  for (const [type, status] of Object.entries(settled)) {
    const found = last?.conditions[type]?.status
    if (last !== undefined && found !== status)
      problems.push(`at the end ${type} was ${found ?? 'absent'}, not ${status}`)
  }
  return problems.map((problem) => `${phase.title}: ${problem}`)
}

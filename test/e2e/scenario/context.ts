/** What the steps of the scenario share, and the waiting that they have in common. */
import { join } from 'node:path'
import type { Phase } from '../checks/conditions.ts'
import { lacks, parseRaftCluster, type RaftCluster } from '../cluster/raft-cluster.ts'
import type { Kube } from '../cluster/kube.ts'
import type { Recorder } from '../cluster/recorder.ts'
import { CLUSTER, NAMESPACE, PATHS } from '../names.ts'
import type { Report } from '../report.ts'
import { waitFor } from '../wait.ts'

export interface ScenarioOptions {
  readonly root: string
  readonly cache: string
  /** Folder of helm, etcdctl and kubectl where the machine has none. */
  readonly programs: string
  readonly kubeconfig: string
  /** Of the operator, the members and the writers. */
  readonly image: string
  readonly isBox: boolean
  /** The release before: its sources, and the tag of its image in the same repository. */
  readonly earlier?: { readonly root: string; readonly tag: string } | undefined
  /** Names of the trials to run, or `main`; everything when absent. */
  readonly only?: readonly string[] | undefined
}

/** Where the logs of all pods of the run are kept. */
export function podLogs({ cache }: ScenarioOptions): string {
  return join(cache, 'pod-logs')
}

export interface Context {
  readonly options: ScenarioOptions
  readonly report: Report
  readonly kube: Kube
  readonly recorder: Recorder
  readonly phases: Phase[]
  /** The stretch of time in which a lost leader excuses a longer gap. */
  readonly leaderKill: { fromMs: number; untilMs: number; podUid: string }
}

/** Slow machines are slow: what takes longer than wished is a missed figure, and only this long a failure of the step. */
const READY_LIMIT_MS = 150_000

export async function cluster(kube: Kube, paths = PATHS): Promise<RaftCluster> {
  return parseRaftCluster(await kube.get(paths.cluster))
}

/** Waits until the RaftCluster is Ready as its spec has it now; returns how long that took, in seconds. */
export async function untilReady(kube: Kube, paths = PATHS): Promise<number> {
  const beganMs = performance.now()
  await waitFor('the RaftCluster to be Ready', { timeoutMs: READY_LIMIT_MS, everyMs: 100 }, async () => {
    const lacking = lacks(await cluster(kube, paths))
    if (lacking === '') return true
    throw new Error(lacking)
  })
  return seconds(performance.now() - beganMs)
}

export function seconds(ms: number): number {
  return Math.round(ms / 10) / 100
}

export async function scale(kube: Kube, replicas: number): Promise<void> {
  await kube.kubectl(['-n', NAMESPACE, 'scale', `raftcluster/${CLUSTER}`, `--replicas=${replicas}`])
}

/** Runs a step as a phase whose conditions are checked afterwards. */
export async function phase<Value>(
  context: Context,
  title: string,
  kind: { readonly isScaling: boolean; readonly mayBeUnavailable?: boolean },
  work: () => Promise<Value>,
): Promise<Value> {
  const fromMs = Date.now()
  const value = await context.report.step(title, work)
  const { isScaling, mayBeUnavailable = false } = kind
  context.phases.push({ title, fromMs, untilMs: Date.now(), isScaling, mayBeUnavailable })
  return value
}

/** The pod that leads, as the cluster's status has it. */
export async function leaderPod(kube: Kube, paths = PATHS): Promise<string> {
  return waitFor('a leader in status.leader', { timeoutMs: 20_000 }, async () => {
    const { leader } = (await cluster(kube, paths)).status
    return leader === '' ? undefined : leader
  })
}

/** A namespace of one trial: a cluster and its writers, what its user does to it and what they then look at. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { verifyWrites, type Put } from '../checks/writes.ts'
import { readBack, startWriting, stopWriting } from '../cluster/ledger.ts'
import type { Kube, KubeObject } from '../cluster/kube.ts'
import { namespaceOf, raftCluster } from '../cluster/manifests.ts'
import { parseRaftCluster, type RaftCluster } from '../cluster/raft-cluster.ts'
import { CLUSTER, pathsOf, trialNamespace, volumeName, type Paths } from '../names.ts'
import type { Figure, Report } from '../report.ts'
import { cluster, podLogs, untilReady, type ScenarioOptions } from '../scenario/context.ts'
import { waitFor, type WaitOptions } from '../wait.ts'

/** Trials run side by side: the writers are there for what they are promised, not as a load. */
const WRITERS_PAUSE_MS = 40
const LIMIT_MS = 120_000

export interface Wanted {
  readonly type: string
  readonly status: 'True' | 'False'
  readonly reason?: string
  readonly message?: RegExp
}

export class Place {
  readonly kube: Kube
  readonly namespace: string
  readonly paths: Paths
  readonly options: ScenarioOptions
  readonly #report: Report
  readonly #name: string

  constructor(report: Report, kube: Kube, options: ScenarioOptions, name: string) {
    this.#report = report
    this.#name = name
    this.kube = kube
    this.options = options
    this.namespace = trialNamespace(name)
    this.paths = pathsOf(this.namespace)
  }

  /** What the status says from now on is kept beside the logs of the pods. */
  async make(): Promise<void> {
    await this.kube.kubectl(['apply', '-f', '-'], { input: namespaceOf(this.namespace) })
    const diary = join(podLogs(this.options), `${this.namespace}.status.jsonl`)
    this.kube.watch(this.paths.clusters, (object) => {
      const { operation, conditions, ...status } = parseRaftCluster(object).status
      const told = conditions.map(({ type, status: is, reason, message }) => `${type}=${is} ${reason}: ${message}`)
      appendFileSync(diary, `${JSON.stringify({ at: new Date().toISOString(), operation, told, ...status })}\n`)
    })
  }

  step<Value>(title: string, work: () => Promise<Value>): Promise<Value> {
    return this.#report.step(`${this.#name}: ${title}`, work)
  }

  note(text: string): void {
    this.#report.note(`        ${this.#name}: ${text}`)
  }

  figure(figure: Figure): void {
    this.#report.figure({ ...figure, title: `${this.#name}: ${figure.title}` })
  }

  /** A Ready cluster that is written to. `certificates`: a Secret that the writers mount. */
  form(spec: Readonly<Record<string, unknown>>, certificates?: string): Promise<void> {
    return this.step('form a cluster, and write to it', async () => {
      await this.apply(spec)
      await this.untilReady()
      await startWriting(this.kube, {
        namespace: this.namespace,
        image: this.options.image,
        pauseMs: WRITERS_PAUSE_MS,
        ...(certificates !== undefined && { certificates }),
      })
    })
  }

  async apply(spec: Readonly<Record<string, unknown>>): Promise<void> {
    await this.kube.kubectl(['apply', '-f', '-'], { input: raftCluster({ namespace: this.namespace, spec }) })
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.kube.kubectl(['-n', this.namespace, ...args])
  }

  async patch(patch: object): Promise<void> {
    await this.kubectl('patch', `raftcluster/${CLUSTER}`, '--type=merge', '-p', JSON.stringify(patch))
  }

  scale(replicas: number): Promise<string> {
    return this.kubectl('scale', `raftcluster/${CLUSTER}`, `--replicas=${replicas}`)
  }

  cluster(): Promise<RaftCluster> {
    return cluster(this.kube, this.paths)
  }

  untilReady(): Promise<number> {
    return untilReady(this.kube, this.paths)
  }

  /** Resolves with its message. */
  untilCondition({ type, status, reason, message = /(?:)/ }: Wanted): Promise<string> {
    return this.until(`the condition ${type}=${status} ${reason ?? ''} ${message}`, async () => {
      const { conditions } = (await this.cluster()).status
      const found = conditions.find((condition) => condition.type === type)
      const isWanted = found?.status === status && (reason === undefined || found.reason === reason)
      if (isWanted && message.test(found.message)) return found.message
      throw new Error(`it is ${found?.status} ${found?.reason}: ${found?.message}`)
    })
  }

  /** An event about the RaftCluster, whose words fit. */
  untilEvent(reason: string, message = /(?:)/): Promise<boolean> {
    return this.until(`an event ${reason} ${message}`, async () => {
      const events = (await this.kube.list(this.paths.events)).map((event) => Event.parse(event))
      const about = events.filter(({ involvedObject }) => involvedObject.kind === 'RaftCluster')
      if (about.some((event) => event.reason === reason && message.test(event.message))) return true
      throw new Error(`there are ${about.map((event) => `${event.reason}: ${event.message}`).join('; ')}`)
    })
  }

  until<Value>(
    what: string,
    ask: () => Promise<Value | undefined>,
    options: Partial<WaitOptions> = {},
  ): Promise<Value> {
    return waitFor(`${what} in ${this.namespace}`, { timeoutMs: LIMIT_MS, ...options }, ask)
  }

  async pods(): Promise<readonly KubeObject[]> {
    return this.kube.list(this.paths.pods)
  }

  async podUids(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.pods()).map(({ metadata }) => [metadata.name, metadata.uid]))
  }

  /** Pod and volume, as a machine takes them along: neither is asked, and the volume goes with the pod. */
  async lose(pod: string): Promise<void> {
    await this.kubectl('delete', 'pvc', volumeName(pod), '--wait=false', '--ignore-not-found')
    await this.kubectl('delete', 'pod', pod, '--grace-period=0', '--force', '--ignore-not-found')
  }

  stopWriting(): Promise<readonly Put[]> {
    return stopWriting(this.kube, this.namespace)
  }

  /** The last step of a trial: what was acknowledged is there. */
  async ledgerHolds(): Promise<void> {
    await this.step('every acknowledged write is readable, with its value, in order', async () => {
      this.holds(await this.stopWriting(), await readBack(this.kube, this.namespace))
    })
  }

  holds(puts: readonly Put[], stored: Awaited<ReturnType<typeof readBack>>): void {
    const acknowledged = puts.filter(({ revision }) => revision !== undefined).length
    this.note(`${puts.length} puts, ${acknowledged} acknowledged, ${stored.length} keys stored`)
    const problems = verifyWrites(puts, stored)
    if (acknowledged === 0) problems.push('nothing was written')
    if (problems.length > 0) throw new Error(problems.slice(0, 5).join('\n'))
  }

  /** The namespace goes with all that is in it: nothing of ours may hold it. */
  async remove(): Promise<void> {
    await this.step('the namespace is deleted, and goes with its cluster', async () => {
      await this.kube.kubectl(['delete', 'namespace', this.namespace, '--timeout=90s'])
    })
  }
}

const Event = z.object({
  reason: z.string().default(''),
  message: z.string().default(''),
  involvedObject: z.object({ kind: z.string().default('') }),
})

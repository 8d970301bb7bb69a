/**
 * One pod, from the moment it is bound to this node until its processes are gone: address, volumes, init containers,
 * containers, status, end.
 *
 *   waiting for the one before it of this name → mounting → initialising → running → (deleted) → stopping → gone
 *
 * Invariant: the API server's object goes only after the last process, so that a successor of the same name, which has
 * the same volume and address, never meets it.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ApiClient } from '../client/client.ts'
import { RESOURCES } from '../client/resource.ts'
import type { ContainerView, Prepared } from './container.ts'
import { ContainerRunner } from './container.ts'
import type { PodFacts, Sources } from './environment.ts'
import { expand, localise, variablesOf } from './environment.ts'
import type { Images } from './images.ts'
import { commandLine, findImage } from './images.ts'
import { mountVolumes, readSources, renewVolumes } from './mounts.ts'
import type { Container, Pod } from './pod.ts'
import { Reporter } from './reporter.ts'
import { finalPhase, statusOf } from './status.ts'

export interface NodeFacts {
  readonly client: ApiClient
  readonly logger: Logger
  readonly hostIP: string
  readonly images: Images
  /** One directory a pod below it. */
  readonly podsDirectory: string
  readonly processRegistry: string
  /** Variables that every process gets; `node` is found by its PATH. */
  readonly baseVariables: (pod: Pod, podIP: string) => Readonly<Record<string, string>>
  readonly onEvent: (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string) => void
}

const MOUNT_AGAIN_MS = 200
/** A kubelet takes up to a minute; what waits for it here is a person, or a test. */
const RENEW_MS = 5000
/** A pod that was taken away by force has this long. */
const FORCED_GRACE_MS = 1000

export class PodWorker {
  readonly uid: string
  /** Resolves when no process of it is left. */
  readonly finished: Promise<void>
  readonly #node: NodeFacts
  readonly #podIP: string
  readonly #reporter: Reporter
  readonly #startedAtMs = Date.now()
  readonly #stopping = new AbortController()
  #pod: Pod
  readonly #init: readonly ContainerRunner[]
  readonly #main: readonly ContainerRunner[]
  #isFinal = false
  #stopped: Promise<void> | undefined

  /** `before` resolves when the last pod of this name has ended. */
  constructor(node: NodeFacts, pod: Pod, podIP: string, before: Promise<void>) {
    this.uid = pod.uid
    this.#node = node
    this.#pod = pod
    this.#podIP = podIP
    this.#reporter = new Reporter({
      client: node.client,
      pod: () => this.#pod,
      status: () => this.#status(),
      onProblem: (message) => node.logger.warn(message),
    })
    this.#init = pod.spec.initContainers.map((container) => this.#runner(container))
    this.#main = pod.spec.containers.map((container) => this.#runner(container))
    this.finished = this.#run(before)
  }

  get pod(): Pod {
    return this.#pod
  }

  /** Directory of a container's logs, and its present run; undefined for one that is not there. */
  logsOf(
    container: string,
  ): { readonly directory: string; readonly run: number; readonly isRunning: boolean } | undefined {
    const found = [...this.#init, ...this.#main].find(({ view }) => view.name === container)
    if (found === undefined) return undefined
    const { restartCount, state } = found.view
    return { directory: this.#logDirectory(container), run: restartCount, isRunning: state.kind === 'running' }
  }

  /** What the API server says now. */
  update(pod: Pod): void {
    this.#pod = pod
    if (pod.object.metadata.deletionTimestamp === undefined) return this.#reporter.report()
    const graceSeconds = pod.object.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds
    void this.#end(graceSeconds * 1000)
  }

  /** Resolves when its first status is written. */
  async reported(): Promise<void> {
    this.#reporter.report()
    await this.#reporter.flush()
  }

  /** SIGKILL, as from outside; false when nothing runs. */
  kill(): boolean {
    return this.#main.map((runner) => runner.kill()).includes(true)
  }

  /** The object is gone while the processes may still run. */
  forced(): void {
    this.#reporter.stop()
    void this.#stop(FORCED_GRACE_MS)
  }

  /** The sandbox stops: the pod stays, its processes end. */
  async suspend(graceMs: number): Promise<void> {
    this.#reporter.stop()
    await this.#stop(graceMs)
  }

  async #run(before: Promise<void>): Promise<void> {
    await before
    const { signal } = this.#stopping
    this.#reporter.report()
    const directories = await this.#mount()
    if (directories === undefined) return
    this.#directories = directories
    for (const runner of this.#init) {
      await runner.run()
      const { state } = runner.view
      if (signal.aborted || state.kind !== 'terminated' || state.exitCode !== 0) return this.#reporter.report()
    }
    void this.#renew()
    await Promise.all(this.#main.map(async (runner) => runner.run()))
    await this.#stopped
  }

  /** Until it is told to stop. */
  async #renew(): Promise<void> {
    const { client, logger } = this.#node
    for (;;) {
      await delay(RENEW_MS, undefined, { ref: false })
      if (this.#stopping.signal.aborted || this.#isFinal) return
      const pod = this.#pod
      await this.#sources()
        .then(async (sources) => renewVolumes({ client, pod, facts: this.#facts, sources, directory: this.#directory }))
        .catch((error: unknown) => logger.info({ pod: pod.name, error }, 'volumes are not renewed'))
    }
  }

  #directories: ReadonlyMap<string, string> = new Map()

  /** Undefined when it was told to stop before all volumes were there. */
  async #mount(): Promise<ReadonlyMap<string, string> | undefined> {
    const { client, onEvent, logger } = this.#node
    let told = ''
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    while (!this.#stopping.signal.aborted) {
      const pod = this.#pod
      const mounted = await this.#sources()
        .then(async (sources) => mountVolumes({ client, pod, facts: this.#facts, sources, directory: this.#directory }))
        .catch((error: unknown) => err(error instanceof Error ? error.message : String(error)))
      if (mounted.ok) return mounted.value
      if (mounted.error !== told) {
        told = mounted.error
        logger.info({ pod: pod.name, problem: told }, 'volumes are not there yet')
        // What is only a moment late is no news.
        if (Date.now() - this.#startedAtMs > 1000) onEvent(pod, 'Warning', 'FailedMount', told)
      }
      await delay(MOUNT_AGAIN_MS, undefined, { ref: false })
    }
    return undefined
  }

  async #sources(): Promise<Sources> {
    return readSources(this.#node.client, this.#pod)
  }

  #runner(container: Container): ContainerRunner {
    const { status, spec } = this.#pod
    const isInit = spec.initContainers.includes(container)
    const known = [...status.containerStatuses, ...status.initContainerStatuses].find(
      ({ name }) => name === container.name,
    )
    const hasRun = known !== undefined && (known.state.running !== undefined || known.state.terminated !== undefined)
    return new ContainerRunner({
      container,
      restartPolicy: isInit && spec.restartPolicy === 'Always' ? 'OnFailure' : spec.restartPolicy,
      address: this.#podIP,
      graceMs: spec.terminationGracePeriodSeconds * 1000,
      logDirectory: this.#logDirectory(container.name),
      registry: this.#node.processRegistry,
      restartCount: known === undefined ? 0 : known.restartCount + (hasRun ? 1 : 0),
      prepare: async () => this.#prepare(container),
      onChange: () => this.#reporter.report(),
      onEvent: (type, reason, message) => this.#node.onEvent(this.#pod, type, reason, message),
    })
  }

  async #prepare(container: Container): Promise<Result<Prepared, { reason: string; message: string }>> {
    const image = findImage(this.#node.images, container.image)
    if (image === undefined) {
      const message = `the sandbox knows no image "${container.image}": ${Object.keys(this.#node.images).join(', ')}`
      return err({ reason: 'ImagePullBackOff', message })
    }
    const sources = await this.#sources().catch(() => undefined)
    const noSources = { reason: 'CreateContainerConfigError', message: 'the API server cannot be reached' }
    if (sources === undefined) return err(noSources)
    const own = variablesOf(this.#pod, container, this.#facts, sources)
    if (!own.ok) return err({ reason: 'CreateContainerConfigError', message: own.error })
    const mounts = container.volumeMounts.map(({ name, mountPath, subPath }) => ({
      mountPath,
      directory: join(this.#directories.get(name) ?? '', subPath),
    }))
    const local = (text: string): string => localise(text, mounts)
    const filled = (text: string): string => local(expand(text, own.value))
    const variables = {
      ...this.#node.baseVariables(this.#pod, this.#podIP),
      ...Object.fromEntries(Object.entries(own.value).map(([name, value]) => [name, local(value)])),
    }
    const line = commandLine(image, container.command.map(filled), container.args.map(filled))
    const directory = container.workingDir === undefined ? image.directory : local(container.workingDir)
    const exec = (command: readonly string[]) => ({ commandLine: command.map(local), directory, variables })
    return ok({ podUid: this.uid, commandLine: line, directory, variables, exec })
  }

  async #end(graceMs: number): Promise<void> {
    await this.#stop(graceMs)
    if (this.#isFinal) return
    this.#isFinal = true
    this.#reporter.report()
    await this.#reporter.flush()
    this.#reporter.stop()
    const { namespace, name } = this.#pod
    const { client, logger } = this.#node
    for (let attempt = 0; ; attempt++) {
      try {
        await client.delete(RESOURCES.pods, { namespace, name }, { uid: this.uid, gracePeriodSeconds: 0 })
        return
      } catch (error) {
        logger.warn({ pod: name, err: error, attempt }, 'an ended pod could not be deleted; trying again')
        await delay(Math.min(5000, 200 * 2 ** Math.min(attempt, 10)), undefined, { ref: false })
      }
    }
  }

  async #stop(graceMs: number): Promise<void> {
    this.#stopping.abort()
    this.#stopped = Promise.all([...this.#init, ...this.#main].map(async (runner) => runner.stop(graceMs))).then(
      () => undefined,
    )
    await this.finished
    await this.#stopped
  }

  /** Removes what only this pod needed: its empty directories and logs. */
  forget(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #status(): Readonly<Record<string, unknown>> {
    const views = (runners: readonly ContainerRunner[]): readonly ContainerView[] => runners.map(({ view }) => view)
    const containers = views(this.#main)
    const status = statusOf(
      this.#pod,
      {
        hostIP: this.#node.hostIP,
        podIP: this.#podIP,
        startedAtMs: this.#startedAtMs,
        initContainers: views(this.#init),
        containers,
      },
      Date.now(),
    )
    return this.#isFinal ? { ...status, phase: finalPhase(containers) } : status
  }

  get #facts(): PodFacts {
    return { podIP: this.#podIP, hostIP: this.#node.hostIP }
  }

  get #directory(): string {
    return join(this.#node.podsDirectory, this.uid)
  }

  #logDirectory(container: string): string {
    return join(this.#directory, 'logs', container)
  }
}

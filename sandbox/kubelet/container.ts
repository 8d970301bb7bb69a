/**
 * One container of a pod: runs its process, probes it, runs it again when it has ended and its policy says so.
 *
 * Invariant: at most one process at a time, and none after `stop` has resolved.
 */
import { mkdirSync } from 'node:fs'
import { systemClock } from '../../lib/system-clock.ts'
import { sleep } from '../../lib/clock.ts'
import type { Result } from '../../lib/result.ts'
import { LogWriter } from './logs.ts'
import type { Container, RestartPolicy } from './pod.ts'
import type { ProbeTarget, Probing } from './prober.ts'
import { startProbing } from './prober.ts'
import type { Exit, Launch } from './process.ts'
import { LocalProcess } from './process.ts'
import { NO_CRASHES, countExit, isRestarted, restartDelayMs } from './restart.ts'

export interface Terminated {
  readonly kind: 'terminated'
  readonly exitCode: number
  readonly reason: string
  readonly startedAtMs: number
  readonly finishedAtMs: number
}

export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running'; readonly startedAtMs: number }
  | Terminated

export interface ContainerView {
  readonly name: string
  readonly image: string
  readonly state: ContainerState
  readonly last: Terminated | undefined
  readonly restartCount: number
  readonly isReady: boolean
  /** Its startup probe has passed. */
  readonly isStarted: boolean
}

export type Prepared = Omit<Launch, 'onOutput'> & Pick<ProbeTarget, 'exec'>

export interface RunnerOptions {
  readonly container: Container
  readonly restartPolicy: RestartPolicy
  readonly address: string
  readonly graceMs: number
  readonly logDirectory: string
  readonly registry: string
  /** Of an earlier sandbox that ran this pod. */
  readonly restartCount: number
  /** The command to run; an error is a reason to wait and its message. */
  readonly prepare: () => Promise<Result<Prepared, { readonly reason: string; readonly message: string }>>
  readonly onChange: () => void
  /** For people: what Kubernetes reports as an event. */
  readonly onEvent: (type: 'Normal' | 'Warning', reason: string, message: string) => void
}

const PREPARE_AGAIN_MS = 1000

export class ContainerRunner {
  readonly #options: RunnerOptions
  readonly #stopping = new AbortController()
  #state: ContainerState = { kind: 'waiting', reason: 'ContainerCreating', message: '' }
  #last: Terminated | undefined
  #restartCount: number
  #isReady = false
  #isStarted = false
  #crashes = NO_CRASHES
  #process: LocalProcess | undefined
  #probes: Probing[] = []
  #running: Promise<void> | undefined
  #graceMs: number

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#restartCount = options.restartCount
    this.#graceMs = options.graceMs
  }

  get view(): ContainerView {
    const { name, image } = this.#options.container
    return {
      name,
      image,
      state: this.#state,
      last: this.#last,
      restartCount: this.#restartCount,
      isReady: this.#isReady,
      isStarted: this.#isStarted,
    }
  }

  /** Resolves when it has ended for good: by its policy or by `stop`. */
  async run(): Promise<void> {
    this.#running ??= this.#loop()
    return this.#running
  }

  /** SIGTERM, SIGKILL after `graceMs`. A second call may shorten the time. */
  async stop(graceMs: number): Promise<void> {
    this.#graceMs = graceMs
    this.#stopping.abort()
    if (this.#process !== undefined) {
      this.#options.onEvent('Normal', 'Killing', `Stopping container ${this.#options.container.name}`)
      await this.#process.terminate(graceMs)
    }
    await this.#running
  }

  /** SIGKILL, as from outside: its policy decides what is next. False when nothing runs. */
  kill(): boolean {
    this.#process?.kill()
    return this.#process !== undefined
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const exit = await this.#runOnce()
      if (exit === undefined) {
        await sleep(systemClock, PREPARE_AGAIN_MS, signal)
        continue
      }
      if (signal.aborted || !isRestarted(this.#options.restartPolicy, exit.exitCode)) return
      await this.#waitForRestart(exit)
      if (!signal.aborted) this.#restartCount++
    }
  }

  /** Undefined when it could not be prepared. */
  async #runOnce(): Promise<Exit | undefined> {
    const { logDirectory, registry, onEvent, container } = this.#options
    const prepared = await this.#options.prepare()
    if (this.#stopping.signal.aborted) return undefined
    if (!prepared.ok) {
      const isNew = this.#state.kind !== 'waiting' || this.#state.reason !== prepared.error.reason
      if (isNew) onEvent('Warning', 'Failed', `${prepared.error.reason}: ${prepared.error.message}`)
      this.#become({ kind: 'waiting', ...prepared.error })
      return undefined
    }
    mkdirSync(logDirectory, { recursive: true, mode: 0o700 })
    const log = new LogWriter(logDirectory, this.#restartCount, () => Date.now())
    const startedAtMs = Date.now()
    const { exec, ...launch } = prepared.value
    this.#process = new LocalProcess({ ...launch, onOutput: (stream, chunk) => log.write(stream, chunk) }, registry)
    onEvent('Normal', 'Started', `Started container ${container.name}`)
    this.#isStarted = container.startupProbe === undefined
    this.#isReady = this.#isStarted && container.readinessProbe === undefined
    this.#become({ kind: 'running', startedAtMs })
    this.#startProbes({ address: this.#options.address, container, exec })
    const exit = await this.#process.ended
    this.#stopProbes()
    this.#process = undefined
    log.close()
    this.#isReady = false
    this.#isStarted = false
    const reason = exit.exitCode === 0 ? 'Completed' : 'Error'
    const finishedAtMs = Date.now()
    this.#crashes = countExit(this.#crashes, finishedAtMs - startedAtMs)
    this.#become({ kind: 'terminated', exitCode: exit.exitCode, reason, startedAtMs, finishedAtMs })
    return exit
  }

  async #waitForRestart(exit: Exit): Promise<void> {
    const { container, onEvent } = this.#options
    const delayMs = restartDelayMs(this.#crashes)
    if (this.#state.kind === 'terminated') this.#last = this.#state
    if (delayMs === 0) return
    const message = `back-off ${delayMs / 1000}s restarting failed container=${container.name}: exit code ${exit.exitCode}`
    onEvent('Warning', 'BackOff', message)
    this.#become({ kind: 'waiting', reason: 'CrashLoopBackOff', message })
    await sleep(systemClock, delayMs, this.#stopping.signal)
  }

  #startProbes(target: ProbeTarget): void {
    const { startupProbe } = target.container
    if (startupProbe === undefined) return this.#startSteadyProbes(target)
    const probing = startProbing({
      probe: startupProbe,
      target,
      isPassing: false,
      onVerdict: (isPassing) => {
        if (!isPassing) return
        probing.stop()
        this.#isStarted = true
        this.#isReady = target.container.readinessProbe === undefined
        this.#options.onChange()
        this.#startSteadyProbes(target)
      },
      onFailure: (message) => this.#fail('Startup', message),
    })
    this.#probes.push(probing)
  }

  #startSteadyProbes(target: ProbeTarget): void {
    const { readinessProbe, livenessProbe } = target.container
    if (readinessProbe !== undefined) {
      const onVerdict = (isPassing: boolean, message: string): void => {
        this.#isReady = isPassing
        if (!isPassing) this.#options.onEvent('Warning', 'Unhealthy', `Readiness probe failed: ${message}`)
        this.#options.onChange()
      }
      this.#probes.push(startProbing({ probe: readinessProbe, target, isPassing: false, onVerdict }))
    }
    if (livenessProbe !== undefined) {
      const onVerdict = (isPassing: boolean, message: string): void => {
        if (!isPassing) this.#fail('Liveness', message)
      }
      this.#probes.push(startProbing({ probe: livenessProbe, target, isPassing: true, onVerdict }))
    }
  }

  /** The process is ended; what becomes of it then is its policy's business. */
  #fail(probe: string, message: string): void {
    const { container, onEvent } = this.#options
    onEvent('Warning', 'Unhealthy', `${probe} probe failed: ${message}`)
    onEvent(
      'Normal',
      'Killing',
      `Container ${container.name} failed its ${probe.toLowerCase()} probe, will be restarted`,
    )
    this.#stopProbes()
    void this.#process?.terminate(this.#graceMs)
  }

  #stopProbes(): void {
    for (const probing of this.#probes) probing.stop()
    this.#probes = []
  }

  #become(state: ContainerState): void {
    this.#state = state
    this.#options.onChange()
  }
}

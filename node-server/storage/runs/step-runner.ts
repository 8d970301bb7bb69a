/** Carries out the steps of one run in the making on a disk. */
import { assert, unreachable } from '../../../lib/assert.ts'
import type { RunSizes } from '../../limits.ts'
import type { Disk, DiskFile } from '../disk.ts'
import type { Run } from './manifest.ts'
import type { RunBuilder } from './run-builder.ts'
import type { Step, Steps } from './steps.ts'
import { runPath } from './store-directory.ts'

export type RunnerSizes = Pick<RunSizes, 'syncSizeBytes'>

export class StepRunner {
  readonly #disk: Disk
  readonly #directory: string
  readonly #sizes: RunnerSizes
  readonly #steps: Steps
  readonly #made: string[] = []
  #open: { readonly fileId: number; readonly file: DiskFile } | undefined
  #unsyncedBytes = 0

  constructor(disk: Disk, directory: string, sizes: RunnerSizes, steps: Steps) {
    this.#disk = disk
    this.#directory = directory
    this.#sizes = sizes
    this.#steps = steps
  }

  /** One step; the run once it is whole and its files are durable. After a rejection, {@link abandon} it. */
  async step(): Promise<Run | undefined> {
    const next = this.#steps.next()
    if (next.done === true) return next.value
    await this.#perform(next.value)
    return undefined
  }

  async finish(): Promise<Run> {
    for (;;) {
      const run = await this.step()
      if (run !== undefined) return run
    }
  }

  async #perform(step: Step): Promise<void> {
    switch (step.kind) {
      case 'pause':
        return
      case 'drain':
        await this.#drain(step.builder)
        return
      case 'finish': {
        const file = await this.#drain(step.builder)
        await this.#sync(file)
        await file.close()
        this.#open = undefined
        return
      }
      default:
        unreachable(step)
    }
  }

  async #drain(builder: RunBuilder): Promise<DiskFile> {
    const file = await this.#fileOf(builder.fileId)
    if (this.#unsyncedBytes >= this.#sizes.syncSizeBytes) await this.#sync(file)
    await file.write(builder.filled, builder.offset)
    this.#unsyncedBytes += builder.filledBytes
    builder.drained()
    return file
  }

  async #sync(file: DiskFile): Promise<void> {
    await file.sync()
    this.#unsyncedBytes = 0
  }

  async #fileOf(fileId: number): Promise<DiskFile> {
    if (this.#open === undefined) {
      const path = runPath(this.#directory, fileId)
      this.#made.push(path)
      this.#open = { fileId, file: await this.#disk.open(path, { create: true }) }
    }
    assert(this.#open.fileId === fileId, 'one file at a time')
    return this.#open.file
  }

  /** Takes its files away; that they are not there is nothing that anybody relies on. */
  async abandon(): Promise<void> {
    await this.#open?.file.close()
    for (const path of this.#made) await this.#disk.remove(path)
  }
}

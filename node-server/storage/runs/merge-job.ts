/** One merge under way: its runs, opened for the purpose, and what has become of them so far. */
import type { Disk } from '../disk.ts'
import type { OpenRun } from './cursor.ts'
import type { Run } from './manifest.ts'
import { mergeRuns, type MergeOptions } from './merge.ts'
import { RunReader, type ReaderOptions } from './run-reader.ts'
import { StepRunner, type RunnerSizes } from './step-runner.ts'
import { runPath } from './store-directory.ts'

export class MergeJob {
  /** Neighbours in the store, which stay so until they are replaced by the result. */
  readonly runs: readonly Run[]
  readonly #readers: readonly OpenRun[]
  readonly #runner: StepRunner

  static async start(
    disk: Disk,
    directory: string,
    runs: readonly Run[],
    options: MergeOptions & ReaderOptions & RunnerSizes,
  ): Promise<MergeJob> {
    const readers: RunReader[][] = []
    try {
      for (const run of runs) {
        const opened: RunReader[] = []
        readers.push(opened)
        for (const file of run) opened.push(await RunReader.open(disk, runPath(directory, file.id), file, options))
      }
    } catch (error) {
      await closeAll(readers)
      throw error
    }
    return new MergeJob(runs, readers, new StepRunner(disk, directory, options, mergeRuns(readers, options)))
  }

  private constructor(runs: readonly Run[], readers: readonly OpenRun[], runner: StepRunner) {
    this.runs = runs
    this.#readers = readers
    this.#runner = runner
  }

  /** The merged run once it is whole. */
  step(): Promise<Run | undefined> {
    return this.#runner.step()
  }

  /** It is whole, or will not be. */
  async end(isWhole: boolean): Promise<void> {
    await closeAll(this.#readers)
    if (!isWhole) await this.#runner.abandon()
  }
}

async function closeAll(readers: readonly OpenRun[]): Promise<void> {
  for (const reader of readers.flat()) await reader.close()
}

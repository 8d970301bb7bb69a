/**
 * The one that changes a store: commits as they come, and between them the steps of merges. It knows neither threads nor
 * messages; writer-host.ts puts it behind those.
 *
 *   - A commit goes before the next step of a merge, unless there are `maxRuns` runs: then merging goes first.
 *   - Merges are a stack: one of newer, smaller runs goes before the larger one beneath it, or runs would pile up meanwhile.
 *   - While commits say that removals follow, no merge of all is begun to give a little space back before them.
 *   - A merge is not begun when what it may write does not fit the disk; then commits do not wait for one either.
 *   - When there is nothing else to do it looks through the files for damage, as often as it is asked to.
 *   - A file goes when the manifest in force does not name it and the reader has let go of it.
 *   - What fails before a manifest is written has changed nothing. When the manifest itself fails, nobody knows which one is
 *     in force ({@link StoreInDoubt}): both are whole, so a start may find either, but this writer takes nothing any more.
 */
import type { RunSizes } from '../../limits.ts'
import { StoreDamaged, StoreInDoubt } from '../../mvcc/backend.ts'
import type { Disk } from '../disk.ts'
import { BlockRing } from './block-ring.ts'
import { filesOf, removalsOf, type Manifest, type Run } from './manifest.ts'
import { MergeJob } from './merge-job.ts'
import { chooseMerge } from './policy.ts'
import { Scrub } from './scrub.ts'
import { StepRunner } from './step-runner.ts'
import { buildRun, type OutputOptions } from './steps.ts'
import { prepareDirectory, runPath, writeManifest } from './store-directory.ts'

export interface WriterPorts {
  /** Lets others have their turn between two pieces of work. */
  readonly giveWay: () => Promise<void>
  /** What merges may take of the disk now; as much as they like without it. A defragmentation is not asked about. */
  readonly mergeRoomBytes?: () => number
  /** A manifest is in force; called before what it was made for resolves. */
  readonly onInstalled: (manifest: Manifest) => void
  /** Found by a merge or by looking for it; the next commit is told too. */
  readonly onDamaged?: (damage: StoreDamaged) => void
}

interface Request {
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

interface CommitRequest extends Request {
  readonly pieces: readonly Uint8Array[]
  readonly removalsFollow: boolean
}

export class Writer {
  readonly #disk: Disk
  readonly #directory: string
  readonly #ports: WriterPorts
  readonly #sizes: RunSizes
  readonly #ring: BlockRing
  #manifest: Manifest
  #nextFileId: number
  readonly #commits: CommitRequest[] = []
  readonly #defragments: Request[] = []
  readonly #scrub: Scrub
  /** Called when a round is finished, or was cut short. */
  readonly #scrubs: ((isRound: boolean) => void)[] = []
  /** The last one goes on. */
  readonly #merges: MergeJob[] = []
  /** Those that the merge at the bottom of the stack is for. */
  #served: Request[] = []
  /** Files that no manifest names any more, and since which. */
  #obsolete: { readonly since: number; readonly fileId: number }[] = []
  #openedNumber: number
  /** The commit before has said so. */
  #removalsFollow = false
  /** A merge has failed, for want of room perhaps: no other one before the next commit. */
  #isMergingOff = false
  /** After which nothing is taken any more. */
  #failure: Error | undefined
  #isClosing = false
  #isWoken = false
  #wake: (() => void) | undefined
  readonly #working: Promise<void>

  /** Alone in its directory, which it makes when it is missing. Throws {@link StoreDamaged}. */
  static async open(disk: Disk, directory: string, ports: WriterPorts, sizes: RunSizes): Promise<Writer> {
    return new Writer(disk, directory, ports, sizes, await prepareDirectory(disk, directory))
  }

  private constructor(disk: Disk, directory: string, ports: WriterPorts, sizes: RunSizes, manifest: Manifest) {
    this.#disk = disk
    this.#directory = directory
    this.#ports = ports
    this.#sizes = sizes
    this.#ring = new BlockRing(sizes.writerRingSizeBytes)
    this.#scrub = new Scrub(disk, directory)
    this.#manifest = manifest
    this.#nextFileId = manifest.nextFileId
    this.#openedNumber = manifest.number
    this.#working = this.#work()
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  /** Rows as rows.ts has them; resolves once they are durable. */
  commit(pieces: readonly Uint8Array[], removalsFollow = false): Promise<void> {
    const { promise, ...request } = Promise.withResolvers<void>()
    this.#commits.push({ pieces, removalsFollow, ...request })
    this.#wakeUp()
    return promise
  }

  /** All becomes one run without removals, while commits go on. When it is closed meanwhile, it need not be done. */
  defragment(): Promise<void> {
    const { promise, ...request } = Promise.withResolvers<void>()
    this.#defragments.push(request)
    this.#wakeUp()
    return promise
  }

  /** Looks at the next piece of the files, once nothing else is to be done; true at the end of a round, and when it is closed. */
  scrub(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#scrubs.push(resolve)
    this.#wakeUp()
    return promise
  }

  /** The reader has opened the files of the manifest of that number, and closed those that it does not name. */
  noteOpened(number: number): void {
    this.#openedNumber = Math.max(this.#openedNumber, number)
    this.#wakeUp()
  }

  /** Once the commits that were asked for are through. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#wakeUp()
    await this.#working
  }

  #wakeUp(): void {
    this.#isWoken = true
    this.#wake?.()
    this.#wake = undefined
  }

  /** Never rejects: what fails is told to who asked for it, or to the next commit. */
  async #work(): Promise<void> {
    for (;;) {
      this.#isWoken = false
      const didSomething = await this.#next()
      if (didSomething) await this.#ports.giveWay()
      else if (this.#isClosing) break
      else if (!this.#isWoken) await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    for (const merge of this.#merges.splice(0)) await this.#endMerge(merge, false)
    await this.#scrub.close()
    for (const resolve of this.#scrubs.splice(0)) resolve(true)
    for (const { resolve } of [...this.#served.splice(0), ...this.#defragments.splice(0)]) resolve()
  }

  /** Whether there was something to do. The order is the order of what matters. */
  async #next(): Promise<boolean> {
    if (this.#failure !== undefined) return this.#refuseAll(this.#failure)
    const commit = this.#takesCommit() ? this.#commits.shift() : undefined
    if (commit !== undefined) await this.#commit(commit)
    else if (this.#isClosing) return false
    else if (await this.#removeObsolete()) return true
    else if (await this.#startMerge()) return true
    else if (this.#merges.length > 0) await this.#stepMerge()
    else return this.#stepScrub()
    return true
  }

  async #stepScrub(): Promise<boolean> {
    const resolve = this.#scrubs.shift()
    if (resolve === undefined) return false
    try {
      resolve(await this.#scrub.step(this.#manifest))
    } catch (error) {
      resolve(true)
      if (error instanceof StoreDamaged) this.#noteDamage(error)
      // Else it could not look: no room for another open file, say.
    }
    return true
  }

  #noteDamage(damage: StoreDamaged): void {
    this.#failure = damage
    this.#ports.onDamaged?.(damage)
  }

  #takesCommit(): boolean {
    return this.#isClosing || this.#isMergingOff || this.#manifest.runs.length < this.#sizes.maxRuns
  }

  #refuseAll(failure: Error): boolean {
    const waiting = [...this.#commits.splice(0), ...this.#defragments.splice(0), ...this.#served.splice(0)]
    for (const { reject } of waiting) reject(failure)
    for (const resolve of this.#scrubs.splice(0)) resolve(true)
    return waiting.length > 0
  }

  async #commit({ pieces, removalsFollow, resolve, reject }: CommitRequest): Promise<void> {
    try {
      const run = await this.#build(pieces)
      if (run.length > 0) await this.#install([run, ...this.#manifest.runs])
      this.#isMergingOff = false
      this.#removalsFollow = removalsFollow
      resolve()
    } catch (error) {
      this.#failure = asError(error)
      reject(error)
    }
  }

  async #build(pieces: readonly Uint8Array[]): Promise<Run> {
    const runner = new StepRunner(this.#disk, this.#directory, this.#sizes, buildRun(pieces, this.#output()))
    try {
      return await runner.finish()
    } catch (error) {
      await runner.abandon().catch(() => undefined) // the next start removes what is left
      throw error
    }
  }

  #output(): OutputOptions {
    return { nextFileId: () => this.#nextFileId++, fileSizeBytes: this.#sizes.fileSizeBytes }
  }

  async #install(runs: readonly Run[]): Promise<void> {
    const next: Manifest = { number: this.#manifest.number + 1, nextFileId: this.#nextFileId, runs }
    try {
      await writeManifest(this.#disk, this.#directory, next)
    } catch (error) {
      throw new StoreInDoubt(`the manifest ${next.number} of ${this.#directory}`, { cause: error })
    }
    const kept = new Set(filesOf(next).map(({ id }) => id))
    for (const { id } of filesOf(this.#manifest))
      if (!kept.has(id)) this.#obsolete.push({ since: next.number, fileId: id })
    this.#manifest = next
    this.#ports.onInstalled(next)
  }

  async #removeObsolete(): Promise<boolean> {
    const gone = this.#obsolete.filter(({ since }) => since <= this.#openedNumber)
    if (gone.length === 0) return false
    this.#obsolete = this.#obsolete.filter(({ since }) => since > this.#openedNumber)
    try {
      for (const { fileId } of gone) await this.#disk.remove(runPath(this.#directory, fileId))
    } catch {
      // It takes room until the next start, which removes what is not named.
    }
    return true
  }

  /** Of runs that are newer than all that are being merged; or of all, when that is asked for and nothing is being merged. */
  async #startMerge(): Promise<boolean> {
    const { runs } = this.#manifest
    const [oldestBusy] = this.#merges.at(-1)?.runs ?? []
    const free = oldestBusy === undefined ? runs : runs.slice(0, runs.indexOf(oldestBusy))
    if (this.#merges.length === 0 && this.#defragments.length > 0) {
      const asked = this.#defragments.splice(0)
      if (runs.length > 1 || runs.some((run) => removalsOf(run) > 0)) return this.#openMerge(runs, asked)
      for (const { resolve } of asked) resolve()
      return true
    }
    if (this.#isMergingOff || this.#merges.length === this.#sizes.maxMerges) return false
    const roomBytes = this.#ports.mergeRoomBytes?.()
    const scope = { isAll: free.length === runs.length, removalsFollow: this.#removalsFollow }
    const choice = chooseMerge(free, scope, this.#sizes, roomBytes)
    if (choice !== undefined) return this.#openMerge(free.slice(choice.from, choice.to), [])
    const isStuck = this.#merges.length === 0 && this.#commits.length > 0 && !this.#takesCommit()
    this.#isMergingOff ||= isStuck
    return isStuck
  }

  async #openMerge(runs: readonly Run[], asked: readonly Request[]): Promise<boolean> {
    this.#served.push(...asked)
    const isBottom = runs.at(-1) === this.#manifest.runs.at(-1)
    const options = { ...this.#sizes, ...this.#output(), isBottom, ring: this.#ring }
    try {
      this.#merges.push(await MergeJob.start(this.#disk, this.#directory, runs, options))
    } catch (error) {
      this.#failMerge(error)
    }
    return true
  }

  async #stepMerge(): Promise<void> {
    const merge = this.#merges.at(-1)
    if (merge === undefined) return
    try {
      const run = await merge.step()
      if (run === undefined) return
      await this.#replace(merge.runs, run)
    } catch (error) {
      this.#merges.pop()
      await this.#endMerge(merge, error instanceof StoreInDoubt)
      return this.#failMerge(error)
    }
    this.#merges.pop()
    await this.#endMerge(merge, true)
    if (this.#merges.length === 0) for (const { resolve } of this.#served.splice(0)) resolve()
  }

  /** The merged run stands where its runs stood. */
  async #replace(merged: readonly Run[], run: Run): Promise<void> {
    const { runs } = this.#manifest
    const [newest] = merged
    const from = newest === undefined ? 0 : runs.indexOf(newest)
    await this.#install([
      ...runs.slice(0, from),
      ...(run.length === 0 ? [] : [run]),
      ...runs.slice(from + merged.length),
    ])
  }

  /** Whether its files are taken away; what goes wrong with that leaves files that the next start removes. */
  async #endMerge(merge: MergeJob, isWhole: boolean): Promise<void> {
    try {
      await merge.end(isWhole)
    } catch {
      // As above.
    }
  }

  #failMerge(error: unknown): void {
    if (error instanceof StoreDamaged) this.#noteDamage(error)
    if (error instanceof StoreInDoubt) this.#failure = error
    this.#isMergingOff = true
    for (const { reject } of this.#served.splice(0)) reject(error)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

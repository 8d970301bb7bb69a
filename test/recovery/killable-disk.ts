/**
 * The disk of one process that dies, or whose disk fails, at a chosen operation. Operations that change something are
 * counted; between two of them the disk does not change, so these are all the places where a crash can matter.
 */
import { dirname, basename } from 'node:path'
import type { Disk, DiskFile } from '../../node-server/storage/disk.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'

export interface Strike {
  /** Operations count from 1. */
  readonly atOperation: number
  /** `crash`: nothing of this process happens any more. Else this operation alone fails; a write leaves half of it. */
  readonly kind: 'crash' | 'EIO' | 'ENOSPC'
}

/** Called before every operation, reads too: the operation is made once it resolves. */
export type Gate = (operation: string) => Promise<void>

export class KillableDisk implements Disk {
  readonly #under: MemoryDisk
  readonly #strike: Strike | undefined
  readonly #gate: Gate | undefined
  /** What was done, in order. */
  readonly journal: string[] = []
  /** Synced again after a failed sync: what the first one lost would count as durable. */
  readonly syncedAgain: string[] = []
  /** Resolves when the process is dead. */
  readonly died: Promise<void>
  readonly #die: () => void
  readonly #failedSyncs = new Set<string>()
  #isDead = false

  constructor(under: MemoryDisk, strike?: Strike, gate?: Gate) {
    this.#under = under
    this.#strike = strike
    this.#gate = gate
    const { promise, resolve } = Promise.withResolvers<void>()
    this.died = promise
    this.#die = resolve
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** The process is gone without an operation of its own. */
  kill(): void {
    this.#isDead = true
    this.#die()
  }

  /** The operation that was struck. */
  get struck(): string | undefined {
    return this.#strike === undefined ? undefined : this.journal[this.#strike.atOperation - 1]
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    if (options.create && this.#under.peek(path) === undefined) await this.#operation(`create ${path}`)
    else await this.#gate?.(`open ${path}`)
    return this.#wrap(path, await this.#under.open(path, options))
  }

  async readFile(path: string): Promise<Buffer> {
    await this.#gate?.(`read ${path}`)
    return this.#under.readFile(path)
  }

  async list(directory: string): Promise<readonly string[]> {
    await this.#gate?.(`list ${directory}`)
    return this.#under.list(directory)
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#operation(`mkdir ${path}`)
    return this.#under.makeDirectory(path)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operation(`rename ${from} ${to}`)
    return this.#under.rename(from, to)
  }

  async remove(path: string): Promise<void> {
    if (!(await this.#under.list(dirname(path))).includes(basename(path))) return
    await this.#operation(`remove ${path}`)
    return this.#under.remove(path)
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#operation(`sync-directory ${path}`)
    return this.#under.syncDirectory(path)
  }

  #wrap(path: string, file: DiskFile): DiskFile {
    const write = async (bytes: Uint8Array, position: number): Promise<void> => {
      await this.#operation(`write ${path}`, () => file.write(bytes.subarray(0, bytes.length >> 1), position))
      return file.write(bytes, position)
    }
    return {
      ...file,
      write,
      writev: (parts, position) => write(Buffer.concat(parts), position),
      truncate: async (sizeBytes) => {
        await this.#operation(`truncate ${path}`)
        return file.truncate(sizeBytes)
      },
      sync: async () => {
        if (this.#failedSyncs.has(path)) this.syncedAgain.push(path)
        await this.#operation(`sync ${path}`)
        return file.sync()
      },
    }
  }

  async #operation(what: string, onStrike: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await this.#gate?.(what)
    if (this.#isDead) return new Promise(() => {})
    this.journal.push(what)
    if (this.#strike?.atOperation !== this.journal.length) return
    await onStrike()
    if (this.#strike.kind !== 'crash') {
      if (what.startsWith('sync ')) this.#failedSyncs.add(what.slice('sync '.length))
      throw Object.assign(new Error(`${this.#strike.kind}: ${what}`), { code: this.#strike.kind })
    }
    this.kill()
    return new Promise(() => {})
  }
}

/**
 * A disk in memory that forgets like a real one. What is written is volatile until `sync`, a name until its folder is
 * synced; a crash keeps an arbitrary part of the volatile rest: of file contents any set of 512-byte sectors, of the
 * changes of a folder any first part. A missing sector before a kept one reads as zeros.
 */
import { assert } from '../../../lib/assert.ts'
import type { Disk, DiskFile } from '../disk.ts'

export const SECTOR_SIZE_BYTES = 512

/** Thrown by the operation at which the machine stops, and by all after it. */
export class Crashed extends Error {
  override readonly name = 'Crashed'
}

export interface Fault {
  /** Operations that change something count from 1. */
  readonly atOperation: number
  /** `crash` stops the disk; an error code fails this one operation, with half of the bytes written if it is a write. */
  readonly kind: 'crash' | 'ENOSPC' | 'EIO'
}

/** An integer in [0, count). */
export type Choose = (count: number) => number
export const KEEP_NOTHING: Choose = () => 0
export const KEEP_ALL: Choose = (count) => count - 1

class FileNode {
  content: Buffer = Buffer.alloc(0)
  durable: Buffer = Buffer.alloc(0)
}

class Folder {
  entries = new Map<string, FileNode | Folder>()
  durable = new Map<string, FileNode | Folder>()
  /** The states that `entries` went through since the last sync. */
  history: Map<string, FileNode | Folder>[] = []

  change(update: (entries: Map<string, FileNode | Folder>) => void): void {
    update(this.entries)
    this.history.push(new Map(this.entries))
  }

  sync(): void {
    this.durable = new Map(this.entries)
    this.history = []
  }
}

export class MemoryDisk implements Disk {
  #root = new Folder()
  #isCrashed = false
  operations = 0
  fault: Fault | undefined
  /** What was done, in order, for tests of the order. */
  readonly journal: string[] = []

  /** The disk as the next process finds it. Equal choices, equal disk. */
  crash(choose: Choose): MemoryDisk {
    this.#isCrashed = true
    const next = new MemoryDisk()
    next.#root = survivingFolder(this.#root, choose, new Map())
    return next
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    const { folder, name } = this.#parent(path)
    let file = folder.entries.get(name)
    if (file === undefined && options.create) {
      this.#operation(`create ${path}`)
      const created = new FileNode()
      folder.change((entries) => entries.set(name, created))
      file = created
    }
    if (!(file instanceof FileNode)) throw diskError('ENOENT', `open ${path}`)
    return this.#handle(path, file)
  }

  async readFile(path: string): Promise<Buffer> {
    const { folder, name } = this.#parent(path)
    const file = folder.entries.get(name)
    if (!(file instanceof FileNode)) throw diskError('ENOENT', `read ${path}`)
    return Buffer.from(file.content)
  }

  async list(directory: string): Promise<readonly string[]> {
    return [...(this.#folder(directory)?.entries.keys() ?? [])].toSorted()
  }

  async makeDirectory(path: string): Promise<void> {
    let folder = this.#root
    for (const name of parts(path)) {
      let next = folder.entries.get(name)
      if (next === undefined) {
        this.#operation(`mkdir ${path}`)
        const made = new Folder()
        folder.change((entries) => entries.set(name, made))
        next = made
      }
      if (!(next instanceof Folder)) throw diskError('ENOTDIR', path)
      folder = next
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#parent(from)
    const target = this.#parent(to)
    const node = source.folder.entries.get(source.name)
    if (node === undefined) throw diskError('ENOENT', `rename ${from}`)
    const there = target.folder.entries.get(target.name)
    if (there instanceof Folder && there.entries.size > 0) throw diskError('ENOTEMPTY', `rename to ${to}`)
    this.#operation(`rename ${from} ${to}`)
    if (source.folder === target.folder) {
      source.folder.change((entries) => {
        entries.delete(source.name)
        entries.set(target.name, node)
      })
      return
    }
    target.folder.change((entries) => entries.set(target.name, node))
    source.folder.change((entries) => entries.delete(source.name))
  }

  async remove(path: string): Promise<void> {
    const names = parts(path)
    const name = names.pop() ?? ''
    const folder = this.#folder(names.join('/'))
    if (folder?.entries.has(name) !== true) return
    this.#operation(`remove ${path}`)
    folder.change((entries) => entries.delete(name))
  }

  async syncDirectory(path: string): Promise<void> {
    this.#operation(`sync-directory ${path}`)
    const folder = this.#folder(path)
    if (folder === undefined) throw diskError('ENOENT', path)
    folder.sync()
  }

  /** Changes durable bytes behind everybody's back. */
  damage(path: string, change: (bytes: Buffer) => Buffer): void {
    const { folder, name } = this.#parent(path)
    const file = folder.entries.get(name)
    assert(file instanceof FileNode, `there is no file ${path}`)
    file.content = change(file.content)
    file.durable = Buffer.from(file.content)
  }

  #handle(path: string, file: FileNode): DiskFile {
    return {
      write: async (bytes, position) => {
        const end = position + bytes.length
        const put = (part: Uint8Array): void => {
          const size = Math.max(file.content.length, position + part.length)
          const grown = Buffer.alloc(size)
          file.content.copy(grown)
          grown.set(part, position)
          file.content = grown
        }
        this.#operation(`write ${path} ${position}..${end}`, () => put(bytes.subarray(0, bytes.length >> 1)))
        put(bytes)
      },
      truncate: async (sizeBytes) => {
        this.#operation(`truncate ${path} ${sizeBytes}`)
        const resized = Buffer.alloc(sizeBytes)
        file.content.copy(resized, 0, 0, sizeBytes)
        file.content = resized
      },
      sync: async () => {
        this.#operation(`sync ${path}`)
        file.durable = Buffer.from(file.content)
      },
      close: async () => undefined,
    }
  }

  #operation(what: string, onFault?: () => void): void {
    if (this.#isCrashed) throw new Crashed(what)
    this.operations += 1
    this.journal.push(what)
    const { fault } = this
    if (fault?.atOperation !== this.operations) return
    onFault?.()
    if (fault.kind !== 'crash') throw diskError(fault.kind, what)
    this.#isCrashed = true
    throw new Crashed(what)
  }

  #parent(path: string): { folder: Folder; name: string } {
    const names = parts(path)
    const name = names.pop() ?? ''
    const folder = this.#folder(names.join('/'))
    if (folder === undefined) throw diskError('ENOENT', path)
    return { folder, name }
  }

  #folder(path: string): Folder | undefined {
    let folder = this.#root
    for (const name of parts(path)) {
      const next = folder.entries.get(name)
      if (!(next instanceof Folder)) return undefined
      folder = next
    }
    return folder
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

/** `survivors`: a node that two durable folders name, as after half of a rename, stays one node. */
function survivingFolder(folder: Folder, choose: Choose, survivors: Map<FileNode | Folder, FileNode | Folder>): Folder {
  const states = [folder.durable, ...folder.history]
  const state = states[choose(states.length)] ?? folder.durable
  const next = new Folder()
  survivors.set(folder, next)
  for (const [name, node] of state) {
    const survivor =
      survivors.get(node) ??
      (node instanceof Folder ? survivingFolder(node, choose, survivors) : survivingFile(node, choose))
    survivors.set(node, survivor)
    next.entries.set(name, survivor)
  }
  next.sync()
  return next
}

function survivingFile(file: FileNode, choose: Choose): FileNode {
  const { content, durable } = file
  const sectors: number[] = []
  for (let at = 0; at < Math.max(content.length, durable.length); at += SECTOR_SIZE_BYTES) {
    const old = durable.subarray(at, at + SECTOR_SIZE_BYTES)
    const changed = content.subarray(at, at + SECTOR_SIZE_BYTES)
    // A shrunk file keeps its new size or its old one; here always the old one unless all of it survives.
    if (!old.equals(changed)) sectors.push(at)
  }
  const next = new FileNode()
  const mode = choose(3)
  if (mode === 2) next.content = Buffer.from(content)
  else {
    next.content = Buffer.from(durable)
    for (const at of mode === 0 ? [] : sectors) {
      if (choose(2) === 0) continue
      const part = content.subarray(at, at + SECTOR_SIZE_BYTES)
      const grown = Buffer.alloc(Math.max(next.content.length, at + part.length))
      next.content.copy(grown)
      grown.set(part, at)
      next.content = grown
    }
  }
  next.durable = Buffer.from(next.content)
  return next
}

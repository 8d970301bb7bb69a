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

/** Two copies of the bytes, and which sectors differ: a write and a sync cost what they touch, not what the file holds. */
class FileNode {
  #bytes: Buffer = Buffer.alloc(0)
  #size = 0
  #durable: Buffer = Buffer.alloc(0)
  #durableSize = 0
  readonly #dirty = new Set<number>()

  get content(): Buffer {
    return this.#bytes.subarray(0, this.#size)
  }

  get durable(): Buffer {
    return this.#durable.subarray(0, this.#durableSize)
  }

  /** Something was written or cut off since the last sync. */
  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#size !== this.#durableSize
  }

  /** Offsets of the sectors that were touched since the last sync, ascending. */
  get dirtySectors(): readonly number[] {
    return [...this.#dirty].toSorted((a, b) => a - b)
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    this.#bytes = grown(this.#bytes, end)
    if (position > this.#size) this.#touch(this.#size, position)
    this.#bytes.set(bytes, position)
    this.#touch(position, end)
    this.#size = Math.max(this.#size, end)
  }

  truncate(size: number): void {
    this.#bytes = grown(this.#bytes, size)
    this.#bytes.fill(0, Math.min(size, this.#size), Math.max(size, this.#size))
    this.#touch(Math.min(size, this.#size), Math.max(size, this.#size))
    this.#size = size
  }

  sync(): void {
    this.#durable = grown(this.#durable, this.#size)
    for (const at of this.#dirty) this.#bytes.copy(this.#durable, at, at, Math.min(at + SECTOR_SIZE_BYTES, this.#size))
    if (this.#durableSize > this.#size) this.#durable.fill(0, this.#size, this.#durableSize)
    this.#durableSize = this.#size
    this.#dirty.clear()
  }

  #touch(from: number, to: number): void {
    for (let at = from - (from % SECTOR_SIZE_BYTES); at < to; at += SECTOR_SIZE_BYTES) this.#dirty.add(at)
  }
}

/** At least so large, zeros behind what was there. */
function grown(bytes: Buffer, size: number): Buffer {
  if (bytes.length >= size) return bytes
  const larger = Buffer.alloc(Math.max(size, bytes.length * 2))
  bytes.copy(larger)
  return larger
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
    return this.survivor(choose)
  }

  /** What a crash now would leave. */
  survivor(choose: Choose): MemoryDisk {
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

  /** What a reader would see now; undefined when there is no such file. */
  peek(path: string): Buffer | undefined {
    const names = parts(path)
    const file = this.#folder(names.slice(0, -1).join('/'))?.entries.get(names.at(-1) ?? '')
    return file instanceof FileNode ? file.content : undefined
  }

  /** Those of a folder with what a reader would see now. */
  files(directory: string): readonly (readonly [name: string, content: Buffer])[] {
    const entries = [...(this.#folder(directory)?.entries ?? [])]
    return entries.flatMap(([name, file]) => (file instanceof FileNode ? [[name, file.content] as const] : []))
  }

  /** Whether a crash could take something back that was written to the files of that folder. */
  hasUnsynced(directory: string): boolean {
    const files = [...(this.#folder(directory)?.entries.values() ?? [])]
    return files.some((file) => file instanceof FileNode && file.isDirty)
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
    const changed = change(Buffer.from(file.content))
    file.truncate(0)
    file.write(changed, 0)
    file.sync()
  }

  #handle(path: string, file: FileNode): DiskFile {
    let isOpen = true
    const opened = (): FileNode => {
      if (!isOpen) throw diskError('EBADF', path)
      return file
    }
    const write = async (bytes: Uint8Array, position: number): Promise<void> => {
      const end = position + bytes.length
      const put = (part: Uint8Array): void => opened().write(part, position)
      this.#operation(`write ${path} ${position}..${end}`, () => put(bytes.subarray(0, bytes.length >> 1)))
      put(bytes)
    }
    return {
      read: async (maxBytes, position) => Buffer.from(opened().content.subarray(position, position + maxBytes)),
      readSync: (into, position) => opened().content.subarray(position).copy(into),
      size: async () => opened().content.length,
      write,
      writev: (parts, position) => write(Buffer.concat(parts), position),
      truncate: async (sizeBytes) => {
        this.#operation(`truncate ${path} ${sizeBytes}`)
        opened().truncate(sizeBytes)
      },
      sync: async () => {
        this.#operation(`sync ${path}`)
        opened().sync()
      },
      close: async () => {
        isOpen = false
      },
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
  const next = new FileNode()
  const mode = choose(3)
  if (mode === 2) next.write(content, 0)
  else {
    next.write(durable, 0)
    // A shrunk file keeps its old size unless all of the change survives.
    for (const at of mode === 0 ? [] : file.dirtySectors) {
      const old = durable.subarray(at, at + SECTOR_SIZE_BYTES)
      const changed = content.subarray(at, at + SECTOR_SIZE_BYTES)
      if (!old.equals(changed) && choose(2) === 1) next.write(changed, at)
    }
  }
  next.sync()
  return next
}

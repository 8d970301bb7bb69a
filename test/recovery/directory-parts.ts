/**
 * What can stand in a data directory, part by part: each part is a set of files, and any choice of one of each part is a
 * directory. The member's log begins behind entry 20 and ends at 30; entry 25 is committed.
 */
import { join } from 'node:path'
import { unreachable } from '../../lib/assert.ts'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeMeta, META_KEY, readMeta } from '../../node-server/mvcc/meta.ts'
import type { HardState } from '../../node-server/raft/message.ts'
import type { Disk } from '../../node-server/storage/disk.ts'
import { encodeBatch, type Identity } from '../../node-server/storage/record.ts'
import type { Volume } from '../../node-server/storage/volume.ts'
import { Wal } from '../../node-server/storage/wal.ts'
import { CLUSTER, entryAt, termAt } from './history.ts'
import { inPieces } from './leader.ts'
import { OWN } from './member-process.ts'

export const BASE = 20
export const LAST_IN_LOG = 30
export const COMMIT = 25

/** Files by their path in the data directory. */
export type Files = ReadonlyMap<string, Buffer>

export const WALS = [
  'whole',
  'torn tail',
  'torn header',
  'damaged in the middle',
  'damaged at its end',
  'first segment missing',
  'missing',
  'of another member',
  'of another directory',
] as const
export const HARD_STATES = ['in step', 'behind the store', 'ahead of the entries', 'of an earlier term'] as const
export const STORES = [
  'in step',
  'behind the log',
  'ahead of the log',
  'before the base',
  'missing',
  'no store',
  'older beside newer',
  'older beside a damaged newer',
  'damaged after it was replaced',
  'put aside',
  'of another log',
] as const
export const SNAPSHOTS_RECEIVED = ['none', 'whole', 'half', 'damaged', 'of another index', 'misnamed'] as const
export const IDENTITIES = ['present', 'missing', 'removed', 'unreadable', 'of another member'] as const
export const LEFT_OVERS = ['none', 'creating', 'restoring', 'both'] as const

export interface Combination {
  readonly wal: (typeof WALS)[number]
  readonly hardState: (typeof HARD_STATES)[number]
  readonly store: (typeof STORES)[number]
  readonly snapshot: (typeof SNAPSHOTS_RECEIVED)[number]
  readonly identity: (typeof IDENTITIES)[number]
  readonly leftOver: (typeof LEFT_OVERS)[number]
}

export const SOUND: Combination = {
  wal: 'whole',
  hardState: 'in step',
  store: 'in step',
  snapshot: 'none',
  identity: 'present',
  leftOver: 'none',
}

const IDENTITY: Identity = { clusterId: CLUSTER, memberId: OWN, incarnation: 0x77n }
const HARD: Readonly<Record<Combination['hardState'], Pick<HardState, 'term' | 'commit'>>> = {
  'in step': { term: Term(4), commit: LogIndex(COMMIT) },
  'behind the store': { term: Term(4), commit: LogIndex(BASE + 1) },
  'ahead of the entries': { term: Term(4), commit: LogIndex(LAST_IN_LOG + 5) },
  'of an earlier term': { term: Term(3), commit: LogIndex(COMMIT) },
}

/** `stores`: streams of stores that have applied that entry. `volume` writes scratch files under `scratch`. */
export class DirectoryParts {
  readonly #stores: ReadonlyMap<number, Files>
  readonly #foreignStore: Files
  readonly #wals = new Map<string, Files>()

  private constructor(stores: ReadonlyMap<number, Files>, foreignStore: Files) {
    this.#stores = stores
    this.#foreignStore = foreignStore
  }

  static async make(volume: Volume, scratch: string, streams: ReadonlyMap<number, Buffer>): Promise<DirectoryParts> {
    await volume.disk.makeDirectory(scratch)
    const stores = new Map<number, Files>()
    for (const [index, stream] of streams) {
      const path = join(scratch, `store-${index}`)
      await volume.stores.receive(path, inPieces(stream))
      stores.set(index, await filesAt(volume.disk, path))
    }
    const parts = new DirectoryParts(stores, await storeOfAnotherTerm(volume, join(scratch, `store-${COMMIT}`)))
    for (const hardState of HARD_STATES)
      for (const wal of WALS) {
        const directory = join(scratch, `wal-${parts.#wals.size}`)
        parts.#wals.set(`${wal}, ${hardState}`, await walFiles(volume, directory, wal, HARD[hardState]))
      }
    return parts
  }

  files({ wal, hardState, store, snapshot, identity, leftOver }: Combination): Files {
    const files = new Map<string, Buffer>()
    for (const [name, bytes] of this.#wals.get(`${wal}, ${hardState}`) ?? []) files.set(`member/wal/${name}`, bytes)
    for (const [name, found] of [...this.#storesOf(store), ...this.#snapshotOf(snapshot)])
      for (const [path, bytes] of found) files.set(`member/db/${name}${path}`, bytes)
    const own = identityFile(identity)
    if (own !== undefined) files.set('member/identity.json', own)
    if (leftOver === 'creating' || leftOver === 'both') files.set('creating/wal/0000000000000001.wal', Buffer.alloc(9))
    if (leftOver === 'restoring' || leftOver === 'both') files.set('restoring/db/store-0/half', Buffer.from('half'))
    return files
  }

  #storesOf(store: Combination['store']): readonly (readonly [string, Files])[] {
    const at = (index: number): Files => this.#at(index)
    switch (store) {
      case 'in step':
        return [['store-0', at(COMMIT)]]
      case 'behind the log':
        return [['store-0', at(22)]]
      case 'ahead of the log':
        return [['store-0', at(33)]]
      case 'before the base':
        return [['store-0', at(10)]]
      case 'missing':
        return []
      case 'no store':
        return [['store-0', each(at(COMMIT), noStore)]]
      case 'older beside newer':
        return [
          ['store-0', at(10)],
          [`store-${BASE}`, at(COMMIT)],
        ]
      case 'older beside a damaged newer':
        return [
          ['store-0', at(10)],
          [`store-${BASE}`, each(at(COMMIT), noStore)],
        ]
      case 'damaged after it was replaced':
        return [[`store-${BASE}.1`, each(at(COMMIT), noStore)]]
      case 'put aside':
        return [['damaged-0', at(COMMIT)]]
      case 'of another log':
        return [['store-0', this.#foreignStore]]
      default:
        return unreachable(store)
    }
  }

  #snapshotOf(snapshot: Combination['snapshot']): readonly (readonly [string, Files])[] {
    const whole = this.#at(BASE)
    switch (snapshot) {
      case 'none':
        return []
      case 'whole':
        return [[`received-${BASE}`, whole]]
      case 'half':
        return [[`received-${BASE}`, each(whole, (bytes) => bytes.subarray(0, bytes.length >> 1))]]
      case 'damaged':
        return [[`received-${BASE}`, each(whole, ({ length }) => Buffer.alloc(length, 0x5a))]]
      case 'of another index':
        return [['received-40', this.#at(40)]]
      case 'misnamed':
        return [[`received-${BASE}`, this.#at(40)]]
      default:
        return unreachable(snapshot)
    }
  }

  #at(index: number): Files {
    const files = this.#stores.get(index)
    if (files === undefined) throw new Error(`there is no store of entry ${index}`)
    return files
  }
}

function noStore({ length }: Buffer): Buffer {
  return Buffer.alloc(length, 'no store ')
}

function each(files: Files, change: (bytes: Buffer) => Buffer): Files {
  return new Map([...files].map(([path, bytes]) => [path, change(bytes)]))
}

/** By what comes behind `path`: nothing when that is a file itself. */
async function filesAt(disk: Disk, path: string): Promise<Files> {
  const names = await disk.list(path)
  if (names.length === 0) return new Map([['', await disk.readFile(path)]])
  const files = new Map<string, Buffer>()
  for (const name of names) files.set(`/${name}`, await disk.readFile(join(path, name)))
  return files
}

async function storeOfAnotherTerm(volume: Volume, path: string): Promise<Files> {
  const backend = await volume.stores.open(path)
  const value = encodeMeta({ ...readMeta(backend), appliedTerm: Term(3) })
  await backend.commit([{ table: 'meta', key: META_KEY, value }])
  await backend.close()
  return filesAt(volume.disk, path)
}

async function walFiles(
  volume: Volume,
  directory: string,
  kind: Combination['wal'],
  hard: Pick<HardState, 'term' | 'commit'>,
): Promise<Files> {
  if (kind === 'missing') return new Map()
  const base = { index: LogIndex(BASE), term: termAt(BASE) }
  const hardState = { ...hard, vote: MemberId(2n) }
  const state = { identity: identityOf(kind), base, hardState }
  const segmentSizeBytes = kind === 'first segment missing' ? 600 : 1 << 20
  const options = { segmentSizeBytes, preparedSizeBytes: 512, onSync: (): void => undefined }
  const wal = await Wal.create(volume.disk, directory, state, options)
  for (let index = BASE + 1; index <= LAST_IN_LOG; index++)
    await wal.append(index === LAST_IN_LOG ? hardState : undefined, [entryAt(index)], true)
  await wal.close()
  const files = new Map<string, Buffer>()
  for (const name of await volume.disk.list(directory))
    files.set(name, await volume.disk.readFile(join(directory, name)))
  const [first = ''] = files.keys()
  if (kind === 'first segment missing') files.delete(first)
  else files.set(first, changed(files.get(first) ?? Buffer.alloc(0), kind))
  return files
}

function identityOf(kind: Combination['wal']): Identity {
  if (kind === 'of another member') return { ...IDENTITY, memberId: MemberId(2n) }
  return kind === 'of another directory' ? { ...IDENTITY, incarnation: 0x78n } : IDENTITY
}

function changed(bytes: Buffer, kind: Combination['wal']): Buffer {
  const end = bytes.lastIndexOf(0xff) + 1
  const torn = Buffer.concat(encodeBatch(13, [{ kind: 'entry', entry: entryAt(LAST_IN_LOG + 1) }]))
  switch (kind) {
    case 'torn tail':
      return Buffer.concat([bytes.subarray(0, end), torn.subarray(0, torn.length >> 1), Buffer.alloc(64)])
    case 'torn header':
      return Buffer.concat([bytes.subarray(0, end), torn.subarray(0, 10)])
    case 'damaged in the middle':
      return flipped(bytes, end >> 1)
    case 'damaged at its end':
      return flipped(bytes, end - 10)
    default:
      return bytes
  }
}

export function flipped(bytes: Buffer, at: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at)
  return copy
}

function identityFile(kind: Combination['identity']): Buffer | undefined {
  if (kind === 'missing') return undefined
  if (kind === 'unreadable') return Buffer.from('{"clusterId": "c1"')
  const memberId = kind === 'of another member' ? '9' : '1'
  const identity = { clusterId: 'c1', memberId, incarnation: '77', name: 'm1', isRemoved: kind === 'removed' }
  return Buffer.from(JSON.stringify({ format: 2, identity }))
}

export async function writeFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  await disk.makeDirectory(join(path, '..'))
  const file = await disk.open(path, { create: true })
  await file.write(bytes, 0)
  await file.sync()
  await file.close()
}

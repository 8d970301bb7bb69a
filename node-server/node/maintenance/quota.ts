/**
 * How large the store may become. What counts is its file, free pages included, as in etcd, so that the way back is
 * etcd's too: compact, defragment, disarm. What is applied and not yet in the file counts with what it will need at least.
 *
 * A disk that is nearly full counts like a store that is: what is written next would end the process (`disk-room.ts`).
 *
 * The size differs from member to member, so it decides nothing when an entry is applied: a member that sees its quota
 * exceeded raises the NOSPACE alarm through the log, and that refuses equally everywhere (`mvcc/alarms.ts`).
 */
import { costOfPut, costOfTxn, LEASE_COST_BYTES } from '../../mvcc/alarms.ts'
import type { BackendSize } from '../../mvcc/backend.ts'
import type { Store } from '../../mvcc/store.ts'
import type { DiskRoom } from './disk-room.ts'
import { PutRequest, TxnRequest } from '../../proto/generated/etcd/rpc.ts'

export const DEFAULT_QUOTA_BYTES = 2 * 1024 ** 3

/** No request costs more than this times its bytes and one overhead: a put in a txn takes 7 bytes at least. */
const MAX_COST_PER_BYTE = 64
const MAX_OVERHEAD_BYTES = 256

interface Measured {
  readonly store: Store
  readonly committedIndex: number
  readonly size: BackendSize
  readonly writableBytes: number
  /** What waited for its commit then. */
  readonly waitingBytes: number
}

export class Quota {
  /** 0 means the default; a negative one that there is no limit. */
  readonly #quotaBytes: number
  readonly #currentStore: () => Store
  readonly #disk: Pick<DiskRoom, 'writableBytes'>
  #measured: Measured | undefined

  constructor(quotaBytes: number, currentStore: () => Store, disk: Pick<DiskRoom, 'writableBytes'>) {
    this.#quotaBytes = quotaBytes
    this.#currentStore = currentStore
    this.#disk = disk
  }

  get limitBytes(): number {
    return this.#quotaBytes === 0 ? DEFAULT_QUOTA_BYTES : this.#quotaBytes < 0 ? Infinity : this.#quotaBytes
  }

  /** What waits for its commit counts once for that, and once more for the log, as far as it has come since the disk was looked at. */
  get isDiskFull(): boolean {
    const { store, writableBytes, waitingBytes } = this.#current()
    const { sizeBytes } = store.buffer
    return sizeBytes + Math.max(0, sizeBytes - waitingBytes) > writableBytes
  }

  /** File and disk may have changed without a new entry: look at them again before the next answer. */
  forget(): void {
    this.#measured = undefined
  }

  hasRoomFor(costBytes: number): boolean {
    return costBytes === 0 || (!this.isDiskFull && this.sizeBytes + costBytes < this.limitBytes)
  }

  /** Whether the request may be proposed; one that adds nothing always may. */
  takes(commandKind: string, request: Uint8Array): boolean {
    if (commandKind !== 'put' && commandKind !== 'txn' && commandKind !== 'lease-grant') return true
    if (this.hasRoomFor(MAX_OVERHEAD_BYTES + MAX_COST_PER_BYTE * request.length)) return true
    if (commandKind === 'lease-grant') return this.hasRoomFor(LEASE_COST_BYTES)
    if (commandKind === 'put') return this.hasRoomFor(costOfPut(PutRequest.decode(request)))
    return this.hasRoomFor(costOfTxn(TxnRequest.decode(request)))
  }

  /** What is compared with the limit. */
  get sizeBytes(): number {
    const { store, size } = this.#current()
    return Math.max(size.totalBytes, size.inUseBytes + store.buffer.sizeBytes)
  }

  /** Asked with every write, so file and disk are looked at once a commit. */
  #current(): Measured {
    const store = this.#currentStore()
    if (this.#measured?.store !== store || this.#measured.committedIndex !== store.committedIndex) {
      const { committedIndex } = store
      const { writableBytes } = this.#disk
      this.#measured = {
        store,
        committedIndex,
        size: store.size(),
        writableBytes,
        waitingBytes: store.buffer.sizeBytes,
      }
    }
    return this.#measured
  }
}

/**
 * How much of a member's volumes may be used. A log without disk space ends the process, so a part of each volume is reserved for
 * log and store: no copy of the store is begun that would leave less. When half of the reserve is used, writes are refused
 * (NOSPACE), while there is still space for those on their way. A defragmentation, which gives space back, may use more of it.
 *
 *   ├─ taken ─┬─ copies under way ─┬─ room ─┬──────────────── reserve ────────────────┤
 *                                           copies end     writes end     defragmentations end
 */
import { err, ok, type Result } from '../../../lib/result.ts'
import { RESERVED_DISK_SHARE, RESERVED_DISK_SIZE_BYTES } from '../../limits.ts'
import type { VolumeSpace } from '../../storage/volume.ts'

/** The part of the reserve that must stay free. */
const SHARES = { copy: 1, write: 1 / 2, defragmentation: 1 / 4 } as const
type CopyKind = 'copy' | 'defragmentation'

/** There was no space, and nothing was written for the copy. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom'
}

export interface DiskRoomParts {
  /** Space of the volume under the store, where copies go. */
  readonly storeSpace: () => VolumeSpace
  /** Space of the volume under the log, the same or another. */
  readonly logSpace: () => VolumeSpace
}

export class DiskRoom {
  readonly #parts: DiskRoomParts
  /** Bytes of the copies under way when they are complete; some of them are written already. */
  #claimedBytes = 0

  constructor(parts: DiskRoomParts) {
    this.#parts = parts
  }

  /** Size of the volume under the store. */
  get space(): VolumeSpace {
    return this.#parts.storeSpace()
  }

  /** Bytes that log and store may still write before writes are refused; negative if they should be refused already. */
  get writableBytes(): number {
    const { storeSpace, logSpace } = this.#parts
    return Math.min(...[storeSpace(), logSpace()].map((space) => space.freeBytes - keptBytes(space, 'write')))
  }

  /** For a copy of so many bytes: call the result, once, when the copy is complete or given up. The error is for the caller. */
  claim(sizeBytes: number, kind: CopyKind = 'copy'): Result<() => void, string> {
    const space = this.#parts.storeSpace()
    const roomBytes = space.freeBytes - this.#claimedBytes - keptBytes(space, kind)
    if (sizeBytes > roomBytes)
      return err(
        `no room on the disk for ${sizeBytes} bytes: ${space.freeBytes} are free, of which a copy may take ${Math.max(0, roomBytes)}`,
      )
    this.#claimedBytes += sizeBytes
    return ok(() => void (this.#claimedBytes -= sizeBytes))
  }

  /** Makes a copy of so many bytes. Rejects with {@link NoRoom}. */
  async during<Value>(sizeBytes: number, copy: () => Promise<Value>, kind: CopyKind = 'copy'): Promise<Value> {
    const claimed = this.claim(sizeBytes, kind)
    if (!claimed.ok) throw new NoRoom(claimed.error)
    try {
      return await copy()
    } finally {
      claimed.value()
    }
  }
}

function keptBytes({ totalBytes }: VolumeSpace, kind: keyof typeof SHARES): number {
  return SHARES[kind] * Math.min(RESERVED_DISK_SIZE_BYTES, totalBytes * RESERVED_DISK_SHARE)
}

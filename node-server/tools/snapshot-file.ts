/**
 * The file that `etcdctl snapshot save` writes of our Maintenance.Snapshot: the LMDB file of one commit, then the 32 bytes
 * of its SHA-256, as etcd appends them. Pages are multiples of 512 bytes, so the rest of the size tells whether a digest
 * is there (etcdutl: snapshot/v3_snapshot.go).
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { err, ok, type Result } from '../../lib/result.ts'
import { isMissing } from '../storage/disk.ts'

const DIGEST_SIZE_BYTES = 32
const SECTOR_SIZE_BYTES = 512
const CHUNK_SIZE_BYTES = 1024 * 1024

export interface ReadOptions {
  /** A file without a digest, or with another one, is taken as it is. */
  readonly skipHashCheck: boolean
  /** Gets the store's bytes, in order. */
  readonly onChunk?: (chunk: Buffer) => Promise<void>
}

/** Reads all of it and checks the digest; the value is the size of the store in it. The error is for the user. */
export async function readSnapshotFile(path: string, options: ReadOptions): Promise<Result<number, string>> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return err(`open ${path}: no such file or directory`)
    return err(`${path} cannot be read: ${String(error)}`)
  }
  try {
    const info = await file.stat()
    return info.isFile() ? await read(file, info.size, options) : err(`${path} is not a file`)
  } finally {
    await file.close()
  }
}

async function read(file: FileHandle, sizeBytes: number, options: ReadOptions): Promise<Result<number, string>> {
  const hasDigest = sizeBytes % SECTOR_SIZE_BYTES === DIGEST_SIZE_BYTES
  if (!hasDigest && !options.skipHashCheck) return err('snapshot missing hash but --skip-hash-check=false')
  const storeSizeBytes = hasDigest ? sizeBytes - DIGEST_SIZE_BYTES : sizeBytes
  if (storeSizeBytes === 0) return err('the snapshot is empty')
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(CHUNK_SIZE_BYTES)
  for (let position = 0; position < storeSizeBytes;) {
    const wanted = Math.min(buffer.length, storeSizeBytes - position)
    const { bytesRead } = await file.read(buffer, 0, wanted, position)
    if (bytesRead === 0) return err(`the file ends at ${position} bytes, ${sizeBytes} were there when it was opened`)
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    await options.onChunk?.(chunk)
    position += bytesRead
  }
  if (!hasDigest || options.skipHashCheck) return ok(storeSizeBytes)
  const { buffer: expected } = await file.read(Buffer.alloc(DIGEST_SIZE_BYTES), 0, DIGEST_SIZE_BYTES, storeSizeBytes)
  const found = hash.digest()
  if (found.equals(expected)) return ok(storeSizeBytes)
  return err(
    `expected sha256 ${expected.toString('hex')}, got ${found.toString('hex')}: the file was changed or cut off after it was saved; use another copy`,
  )
}

/**
 * The file that `etcdctl snapshot save` writes of our Maintenance.Snapshot: a store as a stream, then the 32 bytes of its
 * SHA-256, as etcd appends them. The stream is a multiple of 512 bytes long, so the rest of the size tells whether a digest
 * is there (etcdutl: snapshot/v3_snapshot.go). A store's directory is taken in its place, without a digest.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { err, ok, type Result } from '../../lib/result.ts'
import { SNAPSHOT_UNIT_SIZE_BYTES } from '../mvcc/backend.ts'
import { isMissing } from '../storage/disk.ts'
import { realVolume } from '../storage/volume.ts'

const DIGEST_SIZE_BYTES = 32
const CHUNK_SIZE_BYTES = 1024 * 1024

export interface ReadOptions {
  /** A file without a digest, or with another one, is taken as it is. */
  readonly skipHashCheck: boolean
}

/** Thrown when a file is of no use; its message is for the user. */
export class NotASnapshot extends Error {
  override readonly name = 'NotASnapshot'
}

/** Reads all of it and checks the digest; the value is the size of the store in it. The error is for the user. */
export async function readSnapshotFile(path: string, options: ReadOptions): Promise<Result<number, string>> {
  try {
    let sizeBytes = 0
    for await (const { length } of snapshotPieces(path, options)) sizeBytes += length
    return ok(sizeBytes)
  } catch (error) {
    if (error instanceof NotASnapshot) return err(error.message)
    throw error
  }
}

/** The store in it, in order. Throws {@link NotASnapshot}: before the first piece, or at the end when the digest is wrong. */
export async function* snapshotPieces(path: string, options: ReadOptions): AsyncIterable<Uint8Array> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    throw new NotASnapshot(
      isMissing(error) ? `open ${path}: no such file or directory` : `${path} cannot be read: ${String(error)}`,
    )
  }
  try {
    const info = await file.stat()
    if (info.isDirectory()) yield* readStore(path, options)
    else if (info.isFile()) yield* read(file, info.size, options)
    else throw new NotASnapshot(`${path} is neither a file nor a directory`)
  } finally {
    await file.close()
  }
}

/** The store of a member that does not run, as it would be saved. */
async function* readStore(path: string, { skipHashCheck }: ReadOptions): AsyncIterable<Uint8Array> {
  if (!skipHashCheck) throw new NotASnapshot('snapshot missing hash but --skip-hash-check=false')
  try {
    yield* realVolume.stores.stream(path)
  } catch (error) {
    throw new NotASnapshot(`${path} is not a store that can be read: ${String(error)}`)
  }
}

async function* read(file: FileHandle, sizeBytes: number, { skipHashCheck }: ReadOptions): AsyncIterable<Uint8Array> {
  const hasDigest = sizeBytes % SNAPSHOT_UNIT_SIZE_BYTES === DIGEST_SIZE_BYTES
  if (!hasDigest && !skipHashCheck) throw new NotASnapshot('snapshot missing hash but --skip-hash-check=false')
  const storeSizeBytes = hasDigest ? sizeBytes - DIGEST_SIZE_BYTES : sizeBytes
  if (storeSizeBytes === 0) throw new NotASnapshot('the snapshot is empty')
  const hash = createHash('sha256')
  for (let position = 0; position < storeSizeBytes;) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_SIZE_BYTES, storeSizeBytes - position))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0)
      throw new NotASnapshot(`the file ends at ${position} bytes, ${sizeBytes} were there when it was opened`)
    const chunk = buffer.subarray(0, bytesRead)
    hash.update(chunk)
    yield chunk
    position += bytesRead
  }
  if (!hasDigest || skipHashCheck) return
  const { buffer: expected } = await file.read(Buffer.alloc(DIGEST_SIZE_BYTES), 0, DIGEST_SIZE_BYTES, storeSizeBytes)
  const found = hash.digest()
  if (found.equals(expected)) return
  throw new NotASnapshot(
    `expected sha256 ${expected.toString('hex')}, got ${found.toString('hex')}: the file was changed or cut off after it was saved; use another copy`,
  )
}

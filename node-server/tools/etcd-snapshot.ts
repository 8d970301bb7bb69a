/** Snapshots of etcd's own: read in full for `snapshot status`, and made a store of ours for `snapshot restore`. */
import { readSync, openSync, closeSync, statSync } from 'node:fs'
import { MalformedBytes } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { FileSource } from '../bolt/file-source.ts'
import { looksLikeBolt, PAGE_SIZE_BYTES } from '../bolt/format.ts'
import { BoltDamaged, BoltReader } from '../bolt/reader.ts'
import { decodeRevision, STORAGE_VERSION } from '../etcd-file/etcd-rows.ts'
import { EtcdFileRefused, importEtcdFile, type Imported } from '../etcd-file/import.ts'
import { headOf } from '../mvcc/key-value.ts'
import type { Backend } from '../mvcc/backend.ts'

/** What `snapshot status` says of a file, whoever has written it. */
export interface SnapshotContent {
  readonly hash: number
  readonly revision: number
  readonly keys: number
  /** Of the store in it, without the digest. */
  readonly sizeBytes: number
  readonly version: string
}

/** By its first pages. Throws what the disk does. */
export function isEtcdSnapshot(path: string): boolean {
  if (!statSync(path).isFile()) return false
  const start = Buffer.alloc(2 * PAGE_SIZE_BYTES)
  const file = openSync(path, 'r')
  try {
    return looksLikeBolt(start.subarray(0, readSync(file, start, 0, start.length, 0)))
  } finally {
    closeSync(file)
  }
}

/** etcdutl's numbers for it. `sizeBytes`: of the database in the file. */
export function inspectEtcdSnapshot(path: string, sizeBytes: number): Result<SnapshotContent, string> {
  return reading(path, sizeBytes, (file) => {
    let hash = 0
    let revision = 0
    let version = ''
    const live = new Set<string>()
    for (const bucket of file.buckets) {
      hash = crc32c(Buffer.from(bucket), hash)
      for (const { key, value } of file.rows(bucket)) {
        hash = crc32c(value, crc32c(key, hash))
        if (bucket === 'meta' && key.toString() === STORAGE_VERSION) version = value.toString()
        if (bucket !== 'key') continue
        const place = decodeRevision(key)
        const name = headOf(value).key.toString('latin1')
        revision = place.revision
        if (place.isTombstone) live.delete(name)
        else live.add(name)
      }
    }
    return { hash, revision, keys: live.size, sizeBytes: file.sizeBytes, version }
  })
}

/** Into a store without anything; what is wrong with the file is thrown as an error whose message is for the user. */
export async function importEtcdSnapshot(path: string, sizeBytes: number, store: Backend): Promise<Imported> {
  const source = new FileSource(path, sizeBytes)
  try {
    return await importEtcdFile(new BoltReader(source), store)
  } finally {
    source.close()
  }
}

function reading<Value>(path: string, sizeBytes: number, read: (file: BoltReader) => Value): Result<Value, string> {
  const source = new FileSource(path, sizeBytes)
  try {
    return ok(read(new BoltReader(source)))
  } catch (error) {
    if (isAboutTheFile(error)) return err(`snapshot file integrity check failed: ${error.message}`)
    throw error
  } finally {
    source.close()
  }
}

export function isAboutTheFile(error: unknown): error is Error {
  return error instanceof BoltDamaged || error instanceof EtcdFileRefused || error instanceof MalformedBytes
}

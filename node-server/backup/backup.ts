/**
 * Backups of a cluster: taken from a member while it serves, compressed on the way, read back, and only then named in a
 * manifest, without which a backup is none.
 *
 *   member ── Snapshot ──► SHA-256 ──► zstd ──► destination ──► read back ──► SHA-256 ──► manifest
 *
 * Nothing is kept on the disk of the machine that does it, and of the stream no more than what is on its way.
 */
import { createHash, type Hash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import { outdated, type Full } from './changes/chain.ts'
import { listChanges } from './changes/segments.ts'
import { BackupFailed, type Destination } from './destination.ts'
import { backupName, decodeManifest, encodeManifest, MANIFEST_NAME, SNAPSHOT_NAME, type Manifest } from './manifest.ts'
import { superseded, type Retention } from './retention.ts'
import type { OpenSnapshot } from './source.ts'

const DIGEST_SIZE_BYTES = 32
/** What a backup that failed has left is removed after that long: until then one may still be under way. */
const UNFINISHED_MS = 24 * 60 * 60 * 1000

export interface StoredBackup {
  readonly name: string
  readonly manifest: Manifest
}

/** Counts and digests what passes. */
class Meter {
  readonly #hash: Hash = createHash('sha256')
  sizeBytes = 0

  async *through<Piece extends Uint8Array>(pieces: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of pieces) {
      this.#hash.update(piece)
      this.sizeBytes += piece.length
      yield piece
    }
  }

  sha256(): string {
    return this.#hash.digest('hex')
  }
}

/** Rejects with {@link BackupFailed}; nothing of it is left then, as far as the destination can still be reached. */
export async function takeBackup(snapshot: OpenSnapshot, destination: Destination, now: Date): Promise<StoredBackup> {
  const { clusterId, memberId, revision, version } = snapshot
  const takenAt = now.toISOString()
  const name = backupName({ clusterId, takenAt, revision })
  const stored = `${name}/${SNAPSHOT_NAME}`
  const [database, compressed] = [new Meter(), new Meter()]
  try {
    await compressedInto(database.through(withDigestChecked(snapshot.pieces)), (pieces) =>
      destination.write(stored, compressed.through(pieces)),
    )
    const manifest = {
      clusterId,
      memberId,
      revision,
      takenAt,
      version,
      databaseBytes: database.sizeBytes,
      databaseSha256: database.sha256(),
      storedBytes: compressed.sizeBytes,
      storedSha256: compressed.sha256(),
    }
    for await (const _ of readBackup({ name, manifest }, destination));
    await destination.write(`${name}/${MANIFEST_NAME}`, once(Buffer.from(encodeManifest(manifest))))
    return { name, manifest: { format: 1, ...manifest } }
  } catch (error) {
    await destination.remove([stored]).catch(() => undefined)
    throw error
  }
}

/** When either end fails, so does the other: nothing waits for what does not come. */
async function compressedInto(
  pieces: AsyncIterable<Buffer>,
  write: (pieces: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const compress = createZstdCompress()
  const fed = pipeline(pieces, compress)
  fed.catch(() => undefined) // the writer meets it, too
  try {
    await write(compress as AsyncIterable<Buffer>)
    await fed
  } finally {
    compress.destroy()
  }
}

/**
 * The database and its digest, as `snapshot restore` takes it; checked against the manifest when it ends. Throws
 * {@link BackupFailed}.
 */
export async function* readBackup(
  { name, manifest }: { readonly name: string; readonly manifest: Omit<Manifest, 'format'> },
  destination: Destination,
): AsyncGenerator<Uint8Array> {
  const [compressed, database] = [new Meter(), new Meter()]
  const decompress = createZstdDecompress()
  const piped = pipeline(compressed.through(destination.read(`${name}/${SNAPSHOT_NAME}`)), decompress)
  piped.catch(() => undefined) // the reader below meets it, too
  try {
    for await (const piece of database.through(decompress as AsyncIterable<Buffer>)) yield piece
    await piped
  } catch (cause) {
    if (cause instanceof BackupFailed) throw cause
    throw new BackupFailed(
      `${destination.url}: ${name} is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  } finally {
    decompress.destroy()
  }
  const isSame =
    compressed.sizeBytes === manifest.storedBytes &&
    compressed.sha256() === manifest.storedSha256 &&
    database.sizeBytes === manifest.databaseBytes &&
    database.sha256() === manifest.databaseSha256
  if (!isSame) throw new BackupFailed(`${destination.url}: ${name} is not what was written: use another backup`)
}

/** In the order in which they were taken; what is not whole is left out. `clusterId`: of that cluster alone. */
export async function listBackups(destination: Destination, clusterId?: string): Promise<readonly StoredBackup[]> {
  const objects = await destination.list(clusterId === undefined ? '' : `${clusterId}/`)
  const backups: StoredBackup[] = []
  for (const { name: object } of objects) {
    if (!object.endsWith(`/${MANIFEST_NAME}`)) continue
    const pieces = await Array.fromAsync(destination.read(object))
    const manifest = decodeManifest(Buffer.concat(pieces).toString('utf8'))
    if (manifest !== undefined) backups.push({ name: object.slice(0, -MANIFEST_NAME.length - 1), manifest })
  }
  return backups.toSorted((a, b) => (a.manifest.takenAt < b.manifest.takenAt ? -1 : 1))
}

/** Removes what the retention does not keep of a cluster's backups, and what failed ones have left; the names of what went. */
export async function pruneBackups(
  destination: Destination,
  clusterId: string,
  retention: Retention,
  now: Date,
): Promise<readonly string[]> {
  const backups = await listBackups(destination, clusterId)
  const dated = backups.map(({ name, manifest }) => ({
    name,
    revision: manifest.revision,
    takenAtMs: Date.parse(manifest.takenAt),
  }))
  const gone = superseded(dated, retention, now.getTime())
  // The manifest first: what is removed half-way is no backup any more.
  await destination.remove(gone.map((name) => `${name}/${MANIFEST_NAME}`))
  await destination.remove(gone.map((name) => `${name}/${SNAPSHOT_NAME}`))
  await destination.remove(await unfinished(destination, clusterId, now))
  await pruneChanges(destination, clusterId)
  return gone
}

/** Changes stay as long as a backup that they follow. */
async function pruneChanges(destination: Destination, clusterId: string): Promise<void> {
  const { lines, segments } = await listChanges(destination, clusterId)
  if (segments.length === 0) return
  // Listed again: no segment goes on account of a backup that went meanwhile.
  const fulls = (await listBackups(destination, clusterId)).map(fullOf)
  await destination.remove(outdated(lines, segments, fulls).map(({ name }) => name))
}

/** As changes follow it. */
export function fullOf({ manifest: { revision, takenAt } }: Pick<StoredBackup, 'manifest'>): Full {
  return { revision, takenAtMs: Date.parse(takenAt) }
}

async function unfinished(destination: Destination, clusterId: string, now: Date): Promise<readonly string[]> {
  const names = (await destination.list(`${clusterId}/`)).map(({ name }) => name)
  const whole = new Set(names.filter((name) => name.endsWith(`/${MANIFEST_NAME}`)).map(folderOf))
  const before = backupName({ clusterId, takenAt: new Date(now.getTime() - UNFINISHED_MS).toISOString(), revision: 0 })
  return names.filter((name) => name.endsWith(`/${SNAPSHOT_NAME}`) && !whole.has(folderOf(name)) && name < before)
}

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf('/'))
}

/** The last 32 bytes are the SHA-256 of those before them: a stream that was cut off is no snapshot. */
async function* withDigestChecked(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let held = Buffer.alloc(0)
  for await (const piece of pieces) {
    const all = held.length === 0 ? piece : Buffer.concat([held, piece])
    const end = Math.max(0, all.length - DIGEST_SIZE_BYTES)
    hash.update(all.subarray(0, end))
    held = Buffer.from(all.subarray(end))
    yield piece
  }
  if (!hash.digest().equals(held)) throw new BackupFailed('the member sent a snapshot that is not whole: try again')
}

// eslint-disable-next-line require-await -- one piece, where many are taken
async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece
}

/**
 * What is known of a backup, in a file beside it. It is written last, when everything has been read back: a backup without a
 * manifest is none.
 *
 *   CLUSTER ID/TIME-REVISION/snapshot.db.zst   what `etcdctl snapshot save` gets, compressed
 *   CLUSTER ID/TIME-REVISION/manifest.json
 */
import { z } from 'zod'

const count = z.int().min(0)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** A later format gets another number; what is only added does not. */
const FORMAT = 1

const manifestJson = z.object({
  format: z.literal(FORMAT),
  clusterId: z.string(),
  memberId: z.string(),
  /** Of the last write that is in it. */
  revision: count,
  takenAt: z.iso.datetime(),
  version: z.string(),
  /** Of the database, with its digest, as it was before it was compressed. */
  databaseBytes: count,
  databaseSha256: sha256,
  /** As it is stored. */
  storedBytes: count,
  storedSha256: sha256,
})

export type Manifest = z.infer<typeof manifestJson>

export const SNAPSHOT_NAME = 'snapshot.db.zst'
export const MANIFEST_NAME = 'manifest.json'

/** Sorts by time. */
export function backupName({
  clusterId,
  takenAt,
  revision,
}: Pick<Manifest, 'clusterId' | 'takenAt' | 'revision'>): string {
  return `${clusterId}/${takenAt.replaceAll(/[-:]|\.\d+/g, '')}-${revision}`
}

export function encodeManifest(manifest: Omit<Manifest, 'format'>): string {
  return `${JSON.stringify({ format: FORMAT, ...manifest }, undefined, 2)}\n`
}

/** Undefined when it is none, or one of a later format. */
export function decodeManifest(text: string): Manifest | undefined {
  try {
    return manifestJson.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

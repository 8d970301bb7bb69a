/** A snapshot of etcd 3.7.3, with what etcd and etcdutl said of it (record.sh makes all of it). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

const FIXTURE = join(import.meta.dirname, 'fixture')
const json = (name: string): unknown => JSON.parse(readFileSync(join(FIXTURE, name), 'utf8'))

/** The database and its SHA-256. */
export function etcdSnapshot(): Buffer {
  return gunzipSync(readFileSync(join(FIXTURE, 'snapshot.db.gz')))
}

interface Status {
  readonly hash: number
  readonly revision: number
  readonly totalKey: number
  readonly totalSize: number
  readonly version: string
}

/** `etcdutl snapshot status`. */
export const STATUS = json('status.json') as Status

interface Hashed {
  readonly HashKV: { readonly hash: number; readonly compact_revision: number; readonly hash_revision: number }
}

/** `etcdctl endpoint hashkv`. */
export const [HASH_KV] = json('hashkv.json') as readonly [Hashed]

interface Keys {
  /** Keys and values in base64. */
  readonly kvs: readonly { readonly key: string; readonly value: string; readonly mod_revision: number }[]
}

/** `etcdctl get`, of all keys. */
export const KEYS = (json('keys.json') as Keys).kvs

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { JsonObject, KubeObject } from '../../sandbox/api-server/object.ts'
import { customTypes } from '../../sandbox/api-server/resources/custom.ts'
import { applyDefaults } from '../../sandbox/api-server/schema/default.ts'
import { validateCustom } from '../../sandbox/api-server/schema/validate-custom.ts'
import { BACKUP_KIND, parseRaftBackup, parseScheduledRaftBackup, SCHEDULE_KIND } from './raft-backup.ts'
import { API_VERSION } from './raft-cluster.ts'

const KINDS = {
  [BACKUP_KIND]: { file: 'raftbackups', parse: parseRaftBackup },
  [SCHEDULE_KIND]: { file: 'scheduledraftbackups', parse: parseScheduledRaftBackup },
} as const

type KindName = keyof typeof KINDS

const metadata = {
  name: 'b',
  namespace: 'ns',
  uid: 'u',
  resourceVersion: '1',
  creationTimestamp: '2026-11-30T00:00:00Z',
}
const bucket = { s3: { bucket: 'backups' } }
const volume = { volume: { claimName: 'nas' } }

/** What the schema says of it, before and after its defaults are filled in, and what the operator does. */
function looked(
  kind: KindName,
  spec: JsonObject,
  before?: JsonObject,
): { object: KubeObject; schema: string; operator: string } {
  const { file, parse: read } = KINDS[kind]
  const crd = parse(readFileSync(new URL(`../../crds/${file}.raftkv.dev.yaml`, import.meta.url), 'utf8')) as KubeObject
  const [type] = customTypes(crd, {})
  assert(type !== undefined)
  const objectOf = (one: JsonObject): KubeObject => {
    const object: KubeObject = { apiVersion: API_VERSION, kind, metadata, spec: structuredClone(one) }
    applyDefaults(object, type.schema ?? assert.fail(), false)
    return object
  }
  const object = objectOf(spec)
  const problems = validateCustom(type, object, before && objectOf(before))
  const parsed = read(object)
  return { object, schema: problems.map(({ message }) => message).join('\n'), operator: parsed.ok ? '' : parsed.error }
}

const LEAST: Readonly<Record<KindName, JsonObject>> = {
  [BACKUP_KIND]: { clusterName: 'kv', destination: bucket },
  [SCHEDULE_KIND]: { clusterName: 'kv', destination: bucket, schedule: '@daily' },
}

const WHOLE: JsonObject = {
  clusterName: 'kv',
  destination: {
    s3: {
      bucket: 'backups',
      prefix: 'prod/kv',
      endpoint: 'https://minio:9000',
      region: 'eu-1',
      forcePathStyle: true,
      caSecretRef: { name: 'ca', key: 'tls.crt' },
      credentialsSecretRef: { name: 'keys' },
    },
  },
  deadlineSeconds: 60,
  retention: { count: 3, maxAgeDays: 30 },
  serviceAccountName: 'backup',
  resources: { requests: { cpu: '1' }, limits: { memory: '1Gi' } },
}

test('what the schema takes the operator reads, with the same defaults, and no field is dropped', () => {
  const schedule: JsonObject = { schedule: '0 3 * * *', timeZone: 'Europe/Berlin', suspend: true, immediate: true }
  const changeStream: JsonObject = { enabled: true, intervalSeconds: 5 }
  for (const [kind, spec] of [
    [BACKUP_KIND, LEAST[BACKUP_KIND]],
    [BACKUP_KIND, WHOLE],
    [BACKUP_KIND, { clusterName: 'kv', destination: { volume: { claimName: 'nas', path: 'kv/daily' } } }],
    [SCHEDULE_KIND, LEAST[SCHEDULE_KIND]],
    [SCHEDULE_KIND, { ...WHOLE, ...schedule, changeStream }],
    [SCHEDULE_KIND, { ...LEAST[SCHEDULE_KIND], changeStream: {} }],
    [BACKUP_KIND, { ...LEAST[BACKUP_KIND], verify: {} }],
    [SCHEDULE_KIND, { ...LEAST[SCHEDULE_KIND], verify: {} }],
    [SCHEDULE_KIND, { ...LEAST[SCHEDULE_KIND], verify: { every: 7, sizeLimit: '100Gi' } }],
  ] as const) {
    const { object, schema } = looked(kind, spec)
    assert.equal(schema, '', JSON.stringify(spec))
    const parsed = KINDS[kind].parse(object)
    assert(parsed.ok)
    assert.deepEqual(JSON.parse(JSON.stringify(parsed.value.spec)), object['spec'])
  }
})

test('what cannot be done is refused with a sentence, by the schema and by the operator', () => {
  for (const [wrong, sentence] of [
    [{ destination: {} }, /must have either s3 or volume/],
    [{ destination: { ...bucket, ...volume } }, /must have either s3 or volume/],
    [{ destination: { volume: { claimName: 'nas', path: '../other' } } }, /path in body should match/],
    [{ destination: { volume: { claimName: 'nas', path: '/etc' } } }, /path in body should match/],
    [{ destination: { s3: { bucket: 'backups', endpoint: 'minio:9000' } } }, /endpoint in body should match/],
    [{ deadlineSeconds: 1 }, /deadlineSeconds in body should be greater than or equal to 10/],
    [{ verify: { sizeLimit: '0' } }, /verify\.sizeLimit must be a quantity above 0, for example 10Gi/],
    [{ retention: { count: 0 } }, /count in body should be greater than or equal to 1/],
  ] as const) {
    for (const kind of [BACKUP_KIND, SCHEDULE_KIND] as const) {
      const { schema, operator } = looked(kind, { ...LEAST[kind], ...wrong })
      assert.match(schema, sentence)
      assert.notEqual(operator, '', `the operator takes ${JSON.stringify(wrong)}`)
    }
  }
  for (const [wrong, sentence] of [
    [{ changeStream: { enabled: true, intervalSeconds: 0 } }, /intervalSeconds in body .*greater than or equal to 1/],
    [{ verify: { every: 0 } }, /every in body should be greater than or equal to 1/],
  ] as const) {
    const { schema, operator } = looked(SCHEDULE_KIND, { ...LEAST[SCHEDULE_KIND], ...wrong })
    assert.match(schema, sentence)
    assert.notEqual(operator, '', `the operator takes ${JSON.stringify(wrong)}`)
  }
})

test('a RaftBackup cannot be changed; of a ScheduledRaftBackup all but its cluster can', () => {
  const [backup, schedule] = [LEAST[BACKUP_KIND], LEAST[SCHEDULE_KIND]]
  assert.match(looked(BACKUP_KIND, { ...backup, destination: volume }, backup).schema, /Create another RaftBackup/)
  assert.equal(looked(BACKUP_KIND, backup, backup).schema, '')
  assert.match(
    looked(SCHEDULE_KIND, { ...schedule, clusterName: 'other' }, schedule).schema,
    /clusterName cannot change/,
  )
  assert.equal(looked(SCHEDULE_KIND, { ...schedule, destination: volume, suspend: true }, schedule).schema, '')
})

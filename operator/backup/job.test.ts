import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftBackup, type RaftBackup } from '../api/raft-backup.ts'
import { parseRaftCluster, type RaftCluster } from '../api/raft-cluster.ts'
import { backupJob } from './job.ts'

function cluster(spec: object = {}, status: object = {}): RaftCluster {
  const parsed = parseRaftCluster({
    metadata: { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' },
    spec,
    status,
  })
  assert(parsed.ok)
  return parsed.value
}

function backup(spec: object): RaftBackup {
  const metadata = {
    name: 'b',
    namespace: 'ns',
    uid: 'b-uid',
    resourceVersion: '1',
    creationTimestamp: '2026-11-30T00:00:00Z',
  }
  const parsed = parseRaftBackup({ metadata, spec: { clusterName: 'kv', ...spec } })
  assert(parsed.ok, JSON.stringify(parsed))
  return parsed.value
}

interface Pod {
  readonly serviceAccountName: string
  readonly volumes: readonly object[]
  readonly containers: readonly {
    readonly image: string
    readonly args: readonly string[]
    readonly env: readonly object[]
    readonly volumeMounts: readonly object[]
    readonly resources: unknown
    readonly securityContext: unknown
  }[]
}

function podOf(one: RaftBackup, of: RaftCluster): Pod {
  return Object(backupJob(one, of, 'default:1')['spec']).template.spec
}

test('a Job asks every member, writes into the bucket, and has nothing that it does not need', () => {
  const s3 = {
    bucket: 'backups',
    prefix: 'prod/kv',
    endpoint: 'https://minio:9000',
    region: 'eu-1',
    forcePathStyle: true,
    caSecretRef: { name: 'minio-ca' },
    credentialsSecretRef: { name: 'minio' },
  }
  const job = backupJob(backup({ destination: { s3 }, retention: { count: 3, maxAgeDays: 9 } }), cluster(), 'default:1')
  const { backoffLimit, activeDeadlineSeconds, podReplacementPolicy } = Object(job['spec'])
  assert.deepEqual([backoffLimit, activeDeadlineSeconds, podReplacementPolicy], [2, 3600, 'Failed'])
  assert.deepEqual(
    job.metadata.ownerReferences?.map(({ kind, uid }) => `${kind} ${uid}`),
    ['RaftBackup b-uid'],
  )
  const pod = podOf(backup({ destination: { s3 }, retention: { count: 3, maxAgeDays: 9 } }), cluster())
  const [container] = pod.containers
  const urls = [0, 1, 2].map((ordinal) => `http://kv-${ordinal}.kv-headless.ns.svc.cluster.local:2379`).join(',')
  assert.deepEqual(container?.args, [
    'node-server/main.ts',
    'backup',
    'take',
    `--endpoints=${urls}`,
    '--to=s3://backups/prod/kv',
    '--s3-endpoint=https://minio:9000',
    '--s3-region=eu-1',
    '--s3-path-style',
    '--s3-ca-file=/etc/raftkv/s3-ca/ca.crt',
    '--keep=3',
    '--max-age=9',
    '--result-file=/dev/termination-log',
  ])
  assert.deepEqual(
    container?.env.map((variable) => Reflect.get(variable, 'name')),
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
  )
  assert.equal(pod.serviceAccountName, 'kv')
  assert.deepEqual(container?.resources, { requests: { cpu: '100m', memory: '256Mi' } })
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
})

test('where clients use TLS, so does a Job, with a certificate of its own', () => {
  const one = backup({ destination: { volume: { claimName: 'nas' } } })
  const pod = podOf(one, cluster({}, { tls: { client: { phase: 'Preferred' } } }))
  const [container] = pod.containers
  assert.match(container?.args[3] ?? '', /^--endpoints=https:\/\/kv-0\.kv-headless/)
  assert.deepEqual(container?.args.slice(4, 7), [
    '--cacert=/etc/raftkv/backup-tls/ca.crt',
    '--cert=/etc/raftkv/backup-tls/tls.crt',
    '--key=/etc/raftkv/backup-tls/tls.key',
  ])
  assert.match(JSON.stringify(pod.volumes), /"secretName":"kv-backup-tls"/)
  assert.match(JSON.stringify(container?.volumeMounts), /backup-tls/)
})

test('a Job writes into a folder of a volume', () => {
  const pod = podOf(backup({ destination: { volume: { claimName: 'nas', path: 'kv/daily' } } }), cluster())
  assert.ok(pod.containers[0]?.args.includes('--to=file:///backups/kv/daily'))
  assert.deepEqual(pod.volumes, [{ name: 'backups', persistentVolumeClaim: { claimName: 'nas' } }])
  assert.deepEqual(pod.containers[0]?.volumeMounts, [{ name: 'backups', mountPath: '/backups' }])
  const plain = podOf(backup({ destination: { volume: { claimName: 'nas' } } }), cluster())
  assert.ok(plain.containers[0]?.args.includes('--to=file:///backups'))
})

test('the image is that of the members: what they are made from, or are to be', () => {
  const one = backup({ destination: { volume: { claimName: 'nas' } } })
  const imageOf = (of: RaftCluster): string | undefined => podOf(one, of).containers[0]?.image
  assert.equal(imageOf(cluster()), 'default:1')
  assert.equal(imageOf(cluster({ image: { tag: '2' } })), 'default:2')
  assert.equal(imageOf(cluster({ image: { tag: '2' } }, { image: 'mirror/raftkv:1' })), 'mirror/raftkv:1')
})

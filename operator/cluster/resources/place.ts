/** Where a backup is kept, as flags, variables and volumes of a container that runs the tools. Pure. */
import { assert } from '../../../lib/assert.ts'
import type { BackupDestination } from '../../api/backup-destination.ts'

type Json = Readonly<Record<string, unknown>>

export interface PlaceAccess {
  readonly flags: readonly string[]
  readonly env: readonly Json[]
  readonly volumes: readonly Json[]
  readonly mounts: readonly Json[]
}

const VOLUME_PATH = '/backups'
const CA_PATH = '/etc/raftkv/s3-ca'

export function placeAccess({ s3, volume }: BackupDestination): PlaceAccess {
  if (volume !== undefined) {
    const folder = volume.path === undefined ? '' : `/${volume.path}`
    return {
      flags: [`--to=file://${VOLUME_PATH}${folder}`],
      env: [],
      volumes: [{ name: 'backups', persistentVolumeClaim: { claimName: volume.claimName } }],
      mounts: [{ name: 'backups', mountPath: VOLUME_PATH }],
    }
  }
  assert(s3 !== undefined, 'a destination is a bucket or a volume')
  const { bucket, prefix, endpoint, region, forcePathStyle, caSecretRef, credentialsSecretRef } = s3
  return {
    flags: [
      `--to=s3://${bucket}/${prefix ?? ''}`,
      ...(endpoint === undefined ? [] : [`--s3-endpoint=${endpoint}`]),
      ...(region === undefined ? [] : [`--s3-region=${region}`]),
      ...(forcePathStyle ? ['--s3-path-style'] : []),
      ...(caSecretRef === undefined ? [] : [`--s3-ca-file=${CA_PATH}/${caSecretRef.key}`]),
    ],
    env: credentialsSecretRef === undefined ? [] : credentials(credentialsSecretRef.name),
    volumes: caSecretRef === undefined ? [] : [{ name: 's3-ca', secret: { secretName: caSecretRef.name } }],
    mounts: caSecretRef === undefined ? [] : [{ name: 's3-ca', mountPath: CA_PATH, readOnly: true }],
  }
}

/** One by one: a Secret with other keys would set other variables of the program. */
function credentials(name: string): readonly Json[] {
  const variable = (key: string, isOptional: boolean): Json => ({
    name: key,
    valueFrom: { secretKeyRef: { name, key, ...(isOptional && { optional: true }) } },
  })
  return [
    variable('AWS_ACCESS_KEY_ID', false),
    variable('AWS_SECRET_ACCESS_KEY', false),
    variable('AWS_SESSION_TOKEN', true),
  ]
}

/** Where backups are kept, as one writes it on a command line → as a RaftBackup says it. Pure. */
import { BackupDestination } from '../operator/api/backup-destination.ts'
import { KubectlFailed } from './kubectl.ts'

export interface PlaceFlags {
  readonly endpoint?: string
  readonly region?: string
  readonly credentials?: string
  readonly pathStyle?: boolean
}

/** `s3://BUCKET/PREFIX`, or `pvc://CLAIM/PATH`. */
export function placeOf(
  url: string,
  { endpoint, region, credentials, pathStyle = false }: PlaceFlags,
): BackupDestination {
  const [, scheme, first = '', rest = ''] = /^(s3|pvc):\/\/([^/]+)\/?(.*?)\/?$/.exec(url) ?? []
  if (scheme === undefined) throw new KubectlFailed(`a place is s3://BUCKET/PREFIX or pvc://CLAIM/PATH, not '${url}'`)
  const isOfBuckets = endpoint !== undefined || region !== undefined || credentials !== undefined || pathStyle
  if (scheme === 'pvc' && isOfBuckets)
    throw new KubectlFailed('--endpoint, --region, --credentials and --path-style are for buckets')
  const parsed = BackupDestination.safeParse(
    scheme === 'pvc'
      ? { volume: { claimName: first, ...(rest !== '' && { path: rest }) } }
      : {
          s3: {
            bucket: first,
            ...(rest !== '' && { prefix: rest }),
            ...(endpoint !== undefined && { endpoint }),
            ...(region !== undefined && { region }),
            ...(credentials !== undefined && { credentialsSecretRef: { name: credentials } }),
            ...(pathStyle && { forcePathStyle: true }),
          },
        },
  )
  if (parsed.success) return parsed.data
  throw new KubectlFailed(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '))
}

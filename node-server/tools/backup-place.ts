/** Where backups are kept and how members are reached, as options of the commands. */
import type { Command } from 'commander'
import { BackupFailed, type Destination } from '../backup/destination.ts'
import { Directory } from '../backup/directory.ts'
import type { SourceOptions } from '../backup/source.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'

export interface PlaceOptions {
  readonly to: string
  readonly s3Endpoint?: string
  readonly s3Region?: string
  readonly s3PathStyle: boolean
  readonly s3CaFile?: string
}

export interface MemberOptions {
  readonly endpoints: string
  readonly cacert?: string
  readonly cert?: string
  readonly key?: string
}

export function withPlace(command: Command): Command {
  return command
    .requiredOption('--to <url>', 's3://BUCKET/PREFIX or file:///DIRECTORY')
    .option('--s3-endpoint <url>', "of what is not Amazon's")
    .option('--s3-region <name>', 'region of the bucket')
    .option('--s3-path-style', 'the bucket stands in the path, not in the name of the host', false)
    .option('--s3-ca-file <file>', "CAs of the endpoint's certificate (PEM)")
}

export function withMembers(command: Command): Command {
  return command
    .option(
      '--endpoints <list>',
      'client URLs of members; a follower is asked if there is one',
      'http://127.0.0.1:2379',
    )
    .option('--cacert <file>', 'CAs of the members (PEM)')
    .option('--cert <file>', 'certificate to show (PEM)')
    .option('--key <file>', 'its key (PEM)')
}

export function sourceOf({ endpoints, cacert, cert, key }: MemberOptions): SourceOptions {
  return { endpoints: endpoints.split(','), caFile: cacert, certFile: cert, keyFile: key }
}

export async function placeOf({ to, s3Endpoint, s3Region, s3PathStyle, s3CaFile }: PlaceOptions): Promise<Destination> {
  const url = URL.canParse(to) ? new URL(to) : undefined
  if (url?.protocol === 'file:' && url.pathname.length > 1) return new Directory(decodeURIComponent(url.pathname))
  if (url?.protocol !== 's3:' || url.hostname === '')
    throw new BackupFailed(`--to ${to}: give s3://BUCKET/PREFIX or file:///DIRECTORY`)
  const { Bucket } = await import('../backup/s3.ts') // with the SDK, which others do without
  const prefix = url.pathname.replaceAll(/^\/+|\/+$/g, '')
  return new Bucket({
    bucket: url.hostname,
    prefix: prefix === '' ? '' : `${prefix}/`,
    endpoint: s3Endpoint,
    region: s3Region,
    isPathStyle: s3PathStyle,
    caFile: s3CaFile,
  })
}

export async function attempted(io: ToolIo, act: () => Promise<void>): Promise<ExitCode> {
  try {
    await act()
    return 0
  } catch (error) {
    if (!(error instanceof BackupFailed)) throw error
    await io.err.write(`Error: ${error.message}\n`)
    return 1
  }
}

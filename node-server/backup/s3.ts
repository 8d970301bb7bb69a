/** Backups in a bucket of S3, or of what speaks its protocol. Credentials come from where the SDK looks for them: environment, files, the pod's identity. */
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import { Readable } from 'node:stream'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { BackupFailed, type Destination, type StoredObject } from './destination.ts'

export interface S3Options {
  readonly bucket: string
  /** Empty, or with a slash at its end. */
  readonly prefix: string
  /** Of what is not Amazon's. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
  /** The bucket stands in the path, not in the host's name. */
  readonly isPathStyle: boolean
  /** CAs of the endpoint's certificate (PEM), beside those of the system. */
  readonly caFile: string | undefined
}

/** Of an upload; S3 takes 10,000 of them, so a backup may have 160 GB. */
const PART_SIZE_BYTES = 16 * 1024 * 1024
const PARTS_AT_ONCE = 2
/** Asked for again by the SDK, with growing pauses. */
const MAX_ATTEMPTS = 5
const REQUEST_TIMEOUT_MS = 60_000
const REMOVED_AT_ONCE = 1000

export class Bucket implements Destination {
  readonly url: string
  readonly #options: S3Options
  readonly #client: S3Client

  constructor(options: S3Options) {
    this.#options = options
    this.url = `s3://${options.bucket}/${options.prefix}`
    this.#client = new S3Client(configOf(options))
  }

  async write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const { bucket, prefix } = this.#options
    const body = Readable.from(pieces, { objectMode: false })
    let failure: Error | undefined
    body.once('error', (error) => (failure = error))
    const upload = new Upload({
      client: this.#client,
      params: { Bucket: bucket, Key: prefix + name, Body: body },
      partSize: PART_SIZE_BYTES,
      queueSize: PARTS_AT_ONCE,
      leavePartsOnError: false,
    })
    try {
      await upload.done()
    } catch (error) {
      body.destroy()
      throw failure ?? this.#failed(`write ${name}`, error)
    }
  }

  async *read(name: string): AsyncGenerator<Uint8Array> {
    const { bucket, prefix } = this.#options
    try {
      const { Body: body } = await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key: prefix + name }))
      if (!(body instanceof Readable)) throw new Error('an answer without a body')
      for await (const piece of body) yield piece as Uint8Array
    } catch (error) {
      throw this.#failed(`read ${name}`, error)
    }
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    const { bucket, prefix: own } = this.#options
    const found: StoredObject[] = []
    try {
      for (let token: string | undefined; ;) {
        const page = await this.#client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: own + prefix, ContinuationToken: token }),
        )
        for (const { Key: key = '', Size: sizeBytes = 0 } of page.Contents ?? [])
          found.push({ name: key.slice(own.length), sizeBytes })
        token = page.NextContinuationToken
        if (page.IsTruncated !== true || token === undefined) return found
      }
    } catch (error) {
      throw this.#failed('list', error)
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    const { bucket, prefix } = this.#options
    for (let at = 0; at < names.length; at += REMOVED_AT_ONCE) {
      const objects = names.slice(at, at + REMOVED_AT_ONCE).map((name) => ({ Key: prefix + name }))
      try {
        const { Errors: errors = [] } = await this.#client.send(
          new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } }),
        )
        const [first] = errors
        if (first !== undefined) throw new Error(`${first.Key}: ${first.Code}: ${first.Message}`)
      } catch (error) {
        throw this.#failed('remove backups', error)
      }
    }
  }

  #failed(what: string, cause: unknown): BackupFailed {
    if (cause instanceof BackupFailed) return cause
    return new BackupFailed(`${this.url}: cannot ${what}: ${adviceOf(cause, this.#options)}`, { cause })
  }
}

function configOf({ endpoint, region, isPathStyle, caFile }: S3Options): S3ClientConfig {
  return {
    region: region ?? 'us-east-1',
    forcePathStyle: isPathStyle,
    maxAttempts: MAX_ATTEMPTS,
    // Not all that speak the protocol know the newer checksums; each backup has its own, which is read back.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint === undefined ? {} : { endpoint }),
    requestHandler: {
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionTimeout: REQUEST_TIMEOUT_MS,
      ...(caFile === undefined ? {} : { httpsAgent: new Agent({ ca: readFileSync(caFile) }) }),
    },
  }
}

/** By the names of S3's errors and of Node's. */
function adviceOf(cause: unknown, { bucket, endpoint }: S3Options): string {
  const name = nameOf(cause)
  const message = cause instanceof Error ? cause.message : String(cause)
  switch (name) {
    case 'NoSuchBucket':
      return `there is no bucket ${bucket}: create it, or correct its name`
    case 'NoSuchKey':
      return 'there is no such object'
    case 'AccessDenied':
    case 'Forbidden':
      return `the credentials may not do it (${message}): they need to list, get, put and delete objects of the bucket`
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
    case 'InvalidToken':
    case 'ExpiredToken':
      return `the credentials are wrong (${name}): correct the Secret that holds them`
    case 'CredentialsProviderError':
      return 'there are no credentials: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an identity'
    case 'RequestTimeTooSkewed':
      return 'the clocks of this machine and of the bucket are too far apart: set them by NTP'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name of ${endpoint ?? 'the endpoint'} is not known: correct it, or look at DNS`
    case 'ECONNREFUSED':
      return `nobody listens at ${endpoint ?? 'the endpoint'}`
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `the certificate of ${endpoint ?? 'the endpoint'} is of a CA that is not trusted: give its CA`
    case 'QuotaExceeded':
    case 'XMinioStorageFull':
    case 'InsufficientStorage':
      return 'the bucket is full: make room, or keep fewer backups'
    case 'TimeoutError':
      return `there was no answer within ${REQUEST_TIMEOUT_MS / 1000} s: the bucket, or the network to it, is slow`
    default:
      return name === '' ? message : `${name}: ${message}`
  }
}

function nameOf(cause: unknown): string {
  if (!(cause instanceof Error)) return ''
  const code: unknown = 'code' in cause ? cause.code : undefined
  if (typeof code === 'string') return code
  return cause.name === 'Error' ? '' : cause.name
}

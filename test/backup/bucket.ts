/** A real S3 server with one bucket, whose objects outlive it. */
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ChildProcess } from 'node:child_process'
import { daemon } from '../e2e/process.ts'
import { freePort } from '../members/member-process.ts'

const START_MS = 20_000

export class Bucket {
  readonly #program: string
  readonly #folder: string
  readonly #port: number
  #process: ChildProcess

  static async start(program: string, folder: string): Promise<Bucket> {
    const bucket = new Bucket(program, folder, await freePort())
    await bucket.#untilServing()
    return bucket
  }

  private constructor(program: string, folder: string, port: number) {
    this.#program = program
    this.#folder = folder
    this.#port = port
    this.#process = this.#spawn()
  }

  get flags(): readonly string[] {
    return ['--to=s3://backups/production', `--s3-endpoint=http://127.0.0.1:${this.#port}`, '--s3-path-style']
  }

  readonly environment = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' }

  #spawn(): ChildProcess {
    const database = `-bolt.db=${join(this.#folder, 'bucket.db')}`
    const flags = ['-backend=bolt', database, '-initialbucket=backups', `-host=127.0.0.1:${this.#port}`]
    return daemon([this.#program, ...flags], join(this.#folder, 'bucket.log'), this.#folder)
  }

  async #untilServing(): Promise<void> {
    const endMs = performance.now() + START_MS
    for (;;) {
      try {
        await fetch(`http://127.0.0.1:${this.#port}/`)
        return
      } catch (error) {
        if (performance.now() > endMs) throw error
        await delay(50)
      }
    }
  }

  async restart(): Promise<void> {
    await this.stop()
    await delay(300)
    this.#process = this.#spawn()
    await this.#untilServing()
  }

  async stop(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }
}

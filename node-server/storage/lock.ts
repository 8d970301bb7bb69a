/**
 * One process per data directory. The lock is a listening socket in it: the kernel ends it with its process, however that
 * dies, and it works between containers that share a volume on one machine, where process IDs mean nothing.
 */
import { createServer, connect, type Server } from 'node:net'
import { mkdir, open, readlink, rm, rename, link, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

export async function lockDirectory(directory: string): Promise<Result<DirectoryLock, string>> {
  await mkdir(directory, { recursive: true })
  const handle = await open(directory, 'r')
  const base = await shortPath(directory, handle)
  const server = createServer((socket) => socket.destroy())
  const own = join(base, `lock.${process.pid}`)
  await rm(own, { force: true })
  await listen(server, own)
  const isTaken = await takeName(base, own)
  await rm(own, { force: true })
  if (isTaken) return ok({ release: () => release(server, base, handle) })
  server.close()
  await handle.close()
  return err(`another process uses ${directory}: stop it first, or give this one a directory of its own`)
}

/** Socket paths are at most about 100 bytes long; on Linux an open folder has a short one. */
async function shortPath(directory: string, handle: FileHandle): Promise<string> {
  const short = `/proc/self/fd/${handle.fd}`
  return readlink(short).then(
    () => short,
    () => directory,
  )
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.unref()
      resolve()
    })
  })
}

/** A link is made by one process only; what a dead one left is moved out of the way, unless it turns out to be alive. */
async function takeName(base: string, own: string): Promise<boolean> {
  const lock = join(base, 'lock')
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await linked(own, lock)) return true
    if (await answers(lock)) return false
    const stale = join(base, `lock.stale.${process.pid}`)
    if (!(await moved(lock, stale))) continue
    if (await answers(stale)) {
      await linked(stale, lock)
      await rm(stale, { force: true })
      return false
    }
    await rm(stale, { force: true })
  }
  return false
}

function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    () => false,
  )
}

function moved(from: string, to: string): Promise<boolean> {
  return rename(from, to).then(
    () => true,
    () => false,
  )
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function release(server: Server, base: string, handle: FileHandle): Promise<void> {
  await rm(join(base, 'lock'), { force: true })
  await new Promise((resolve) => server.close(resolve))
  await handle.close()
}

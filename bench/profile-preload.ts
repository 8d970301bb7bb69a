/**
 * In a member's process before its program: SIGUSR2 starts a profile of the main thread, the next one ends it and writes it
 * to the folder that `RAFTKV_PROFILES` names, as PID.cpuprofile.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'

const SAMPLE_MICROSECONDS = 500

const folder = process.env['RAFTKV_PROFILES'] ?? '.'
const session = new Session()
session.connect()
let isRunning = false

process.on('SIGUSR2', () => void next())

async function next(): Promise<void> {
  isRunning = !isRunning
  await (isRunning ? begin() : end())
}

async function begin(): Promise<void> {
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS })
  await session.post('Profiler.start')
}

async function end(): Promise<void> {
  const { profile } = await session.post('Profiler.stop')
  const path = join(folder, `${process.pid}.cpuprofile`)
  writeFileSync(`${path}.part`, JSON.stringify(profile))
  renameSync(`${path}.part`, path) // whoever waits for it finds all of it
}

// kafkajs. Which checks to run and how results are told: clients/python/program.py.
'use strict'
const fs = require('fs')
const readline = require('readline')
const { isDeepStrictEqual, inspect } = require('util')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, Partitioners, logLevel } =
  require('kafkajs')

const PATIENCE_MS = 45000
const LARGE_LIMIT = 25000000
const SIZES = [1, 1000, 100000, 1000000, 5000000, 20000000]
const HOUR_AGO = Date.now() - 3600000

// The codecs that need no compiler to be installed; for lz4 there is none that writes frames which
// Kafka's own clients read.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const zstd = new Promise((resolve) =>
  require('zstd-codec').ZstdCodec.run((library) => resolve(new library.Simple())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from((await zstd).compress(encoder.buffer, 3)),
  decompress: async (buffer) => Buffer.from((await zstd).decompress(buffer)),
})

const [bootstrap, prefix, ...names] = process.argv.slice(2)
const kafka = new Kafka({
  brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 60, maxRetryTime: 500 },
})
const admin = kafka.admin()
const input = readline.createInterface({ input: process.stdin })

const tell = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const values = (count, start = 0) => Array.from({ length: count }, (_, i) => `v-${start + i}`)
const valueOfSize = (size) => Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz')

function expect(actual, wanted, what) {
  if (!isDeepStrictEqual(actual, wanted)) {
    throw new Error(`${what}: ${inspect(actual).slice(0, 200)}, ` +
      `expected ${inspect(wanted).slice(0, 200)}`)
  }
}

async function waitFor(condition, what) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pause(20)) {
    if (await condition()) return
  }
  throw new Error(`after ${PATIENCE_MS} ms still not: ${what}`)
}

function killBroker() {
  tell({ ask: 'kill' })
  return new Promise((resolve) => input.once('line', resolve))
}

async function makeTopic(name, numPartitions = 1, configs = {}) {
  const topic = `${prefix}-${name}`
  const configEntries = Object.entries(configs).map(([n, value]) => ({ name: n, value }))
  const made = await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] })
  if (!made) throw new Error('TOPIC_ALREADY_EXISTS')
  return topic
}

async function withProducer(options, work) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
  await producer.connect()
  try {
    return await work(producer)
  } finally {
    await producer.disconnect()
  }
}

const send = (topic, messages, compression) =>
  withProducer({}, (producer) => producer.send({ topic, messages, compression }))

const records = (texts, partition = 0) => texts.map((value) => ({ value, partition }))

async function filled(name, count) {
  const topic = await makeTopic(name)
  await send(topic, records(values(count)))
  return topic
}

let readers = 0

/** Reads from an offset on. The library reads as a group only, so each reader is a new one. */
async function read(topic, count, offset = 0, options = {}) {
  const consumer = kafka.consumer({
    groupId: `${prefix}-reader-${readers++}`, maxBytesPerPartition: LARGE_LIMIT,
    maxWaitTimeInMs: 50, sessionTimeout: 6000, ...options,
  })
  const got = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => got.push(message) })
    if (offset) consumer.seek({ topic, partition: 0, offset: String(offset) })
    await waitFor(() => got.length >= count, `${count} records read`)
    return got
  } finally {
    await consumer.disconnect()
  }
}

const texts = (messages) => messages.map((m) => m.value.toString())

class Member {
  constructor(group, topic, most = 1000) {
    this.topic = topic
    this.most = most
    this.seen = []
    this.owned = 0
    this.consumer = kafka.consumer({
      groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 50,
    })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.owned = (payload.memberAssignment[topic] || []).length
    })
  }

  async start() {
    await this.consumer.connect()
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: true })
    await this.consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (this.seen.length >= this.most) return
        this.seen.push(message.value.toString())
        await this.consumer.commitOffsets([{
          topic: this.topic, partition, offset: String(BigInt(message.offset) + 1n),
        }])
      },
    })
    return this
  }
}

const codec = (name, type) => async () => {
  const topic = await makeTopic(name)
  await send(topic, records(values(100)), type)
  expect(texts(await read(topic, 100)), values(100), 'values')
}

async function retention(topic) {
  const found = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }],
  })
  return found.resources[0].configEntries[0].configValue
}

/** 0: nothing is committed. NaN: nobody can tell yet. */
const committedOffset = (groupId, topic) => admin.fetchOffsets({ groupId, topics: [topic] }).then(
  ([found]) => Math.max(Number(found.partitions[0].offset), 0), () => NaN)

const transactional = (name, work) => withProducer(
  { transactionalId: `${prefix}-${name}`, idempotent: true, maxInFlightRequests: 1 }, work)

const checks = {
  produce_none: codec('none', CompressionTypes.None),
  produce_gzip: codec('gzip', CompressionTypes.GZIP),
  produce_snappy: codec('snappy', CompressionTypes.Snappy),
  produce_zstd: codec('zstd', CompressionTypes.ZSTD),

  async headers() {
    const topic = await makeTopic('headers')
    const headers = { a: ['1', '2'], b: Buffer.from([0, 255]), empty: '' }
    await send(topic, [{ value: 'x', headers }])
    expect((await read(topic, 1))[0].headers, {
      a: [Buffer.from('1'), Buffer.from('2')], b: Buffer.from([0, 255]), empty: Buffer.alloc(0),
    }, 'headers')
  },

  async nulls() {
    const topic = await makeTopic('nulls')
    const sent = [[null, null], ['', ''], ['k', null], [null, 'v']]
    await send(topic, sent.map(([key, value]) => ({ key, value, partition: 0 })))
    const got = await read(topic, 4)
    expect(got.map((m) => [m.key && m.key.toString(), m.value && m.value.toString()]), sent,
      'keys and values')
  },

  async timestamps() {
    const topic = await makeTopic('timestamps')
    await send(topic, [{ value: 'x', timestamp: String(HOUR_AGO) }])
    expect((await read(topic, 1))[0].timestamp, String(HOUR_AGO), 'timestamp')
  },

  async sizes() {
    const topic = await makeTopic('sizes', 1, { 'max.message.bytes': String(LARGE_LIMIT) })
    for (const size of SIZES) await send(topic, [{ value: valueOfSize(size) }])
    const got = await read(topic, SIZES.length)
    SIZES.forEach((size, i) => expect(got[i].value.equals(valueOfSize(size)), true, `${size} bytes`))
  },

  async too_large() {
    const topic = await makeTopic('too-large', 1, { 'max.message.bytes': '1000000' })
    const error = await send(topic, [{ value: valueOfSize(2000000) }]).then(() => ({}), (e) => e)
    expect(error.type, 'MESSAGE_TOO_LARGE', 'error')
  },

  async seek_time() {
    const topic = await makeTopic('seek-time')
    for (let i = 0; i < 10; i++) {
      await send(topic, [{ value: `v-${i}`, timestamp: String(HOUR_AGO + 1000 * i) }])
    }
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, HOUR_AGO + 4500)
    expect(found[0].offset, '5', 'offset of the time')
    expect(texts(await read(topic, 1, 5)).slice(0, 1), ['v-5'], 'value there')
  },

  async watermarks() {
    const topic = await filled('watermarks', 7)
    const [{ low, high }] = await admin.fetchTopicOffsets(topic)
    expect([low, high], ['0', '7'], 'watermarks')
  },

  async group_resume() {
    const topic = await filled('resume', 20)
    for (const start of [0, 10]) {
      const member = await new Member(`${prefix}-resume`, topic, 10).start()
      await waitFor(() => member.seen.length === 10, '10 records read')
      await member.consumer.disconnect()
      expect(member.seen, values(10, start), 'values')
    }
  },

  async group_rebalance() {
    const topic = await makeTopic('rebalance', 4)
    const fill = async (start) => {
      for (let p = 0; p < 4; p++) await send(topic, records(values(25, start + 25 * p), p))
    }
    await fill(0)
    const group = `${prefix}-rebalance`
    const first = await new Member(group, topic).start()
    await waitFor(() => first.seen.length >= 10, 'first member reads')
    const second = await new Member(group, topic).start()
    await waitFor(() => first.owned === 2 && second.owned === 2, 'two partitions each')
    await fill(100)
    await waitFor(() => new Set([...first.seen, ...second.seen]).size === 200, 'all 200 are read')
    await second.consumer.disconnect()
    await waitFor(() => first.owned === 4, 'the rest gets everything')
    await first.consumer.disconnect()
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    expect(partitions.map((p) => p.offset), ['50', '50', '50', '50'], 'committed')
  },

  async idempotent_kill() {
    const topic = await makeTopic('idempotent')
    let sent = 0
    await withProducer({ idempotent: true, maxInFlightRequests: 1 }, async (producer) => {
      let over = false
      while (sent < 300 || !over) {
        if (sent === 100) killBroker().then(() => { over = true })
        await producer.send({ topic, acks: -1, messages: records([`v-${sent++}`]) })
        await pause(2)
      }
    })
    expect(texts(await read(topic, sent)), values(sent), 'values')
    expect((await admin.fetchTopicOffsets(topic))[0].high, String(sent), 'records there')
  },

  async transaction_commit() {
    const topic = await makeTopic('commit')
    await transactional('commit', async (producer) => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: records(values(10)) })
      await transaction.commit()
    })
    expect(texts(await read(topic, 10)), values(10), 'values')
  },

  async transaction_abort() {
    const topic = await makeTopic('abort')
    await transactional('abort', async (producer) => {
      const aborted = await producer.transaction()
      await aborted.send({ topic, messages: records(values(10)) })
      await aborted.abort()
      const committed = await producer.transaction()
      await committed.send({ topic, messages: records(values(10, 10)) })
      await committed.commit()
    })
    expect(texts(await read(topic, 10)), values(10, 10), 'read_committed')
    expect(texts(await read(topic, 20, 0, { readUncommitted: true })), values(20),
      'read_uncommitted')
  },

  async transaction_offsets() {
    const topic = await filled('txn-in', 10)
    const consumerGroupId = `${prefix}-txn-offsets`
    await transactional('offsets', async (producer) => {
      for (const [offset, end] of [['5', 'commit'], ['8', 'abort']]) {
        const transaction = await producer.transaction()
        await transaction.sendOffsets({
          consumerGroupId, topics: [{ topic, partitions: [{ partition: 0, offset }] }],
        })
        await transaction[end]()
        // The markers of a commit may come after its answer.
        await waitFor(async () => (await committedOffset(consumerGroupId, topic)) === 5,
          `offset 5 after the ${end}`)
      }
    })
  },

  async transaction_transform() {
    const source = await filled('transform-in', 10)
    const target = await makeTopic('transform-out')
    const consumerGroupId = `${prefix}-transform`
    await transactional('transform', async (producer) => {
      for (const [offset, end] of [[0, 'abort'], [0, 'commit'], [5, 'commit']]) {
        await waitFor(async () => (await committedOffset(consumerGroupId, source)) === offset,
          `committed offset ${offset}`)
        const taken = texts(await read(source, 5, offset)).slice(0, 5)
        const transaction = await producer.transaction()
        await transaction.send({ topic: target, messages: records(taken) })
        await transaction.sendOffsets({
          consumerGroupId,
          topics: [{ topic: source, partitions: [{ partition: 0, offset: String(offset + 5) }] }],
        })
        await transaction[end]()
      }
    })
    expect(texts(await read(target, 10)), values(10), 'read_committed')
    expect(texts(await read(target, 15, 0, { readUncommitted: true })),
      [...values(5), ...values(10)], 'read_uncommitted')
  },

  async admin_create() {
    await makeTopic('admin-create', 3)
    const error = await makeTopic('admin-create', 3).then(() => ({}), (e) => e)
    expect(error.message, 'TOPIC_ALREADY_EXISTS', 'error')
  },

  async admin_describe() {
    const topic = await makeTopic('admin-describe', 3)
    const found = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions
    expect(found.map((p) => [p.partitionId, p.leader, p.isr]).sort(),
      [[0, 1, [1]], [1, 1, [1]], [2, 1, [1]]], 'partitions')
  },

  async admin_add_partitions() {
    const topic = await makeTopic('admin-add', 3)
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    await waitFor(async () => (await admin.fetchTopicMetadata({ topics: [topic] }))
      .topics[0].partitions.length === 5, 'five partitions')
  },

  async admin_delete() {
    const topic = await makeTopic('admin-delete')
    await admin.deleteTopics({ topics: [topic] })
    await waitFor(async () => !(await admin.listTopics()).includes(topic), 'the topic is gone')
  },

  async admin_configs() {
    const topic = await makeTopic('admin-configs')
    expect(await retention(topic), '604800000', 'default')
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{
        type: ConfigResourceTypes.TOPIC, name: topic,
        configEntries: [{ name: 'retention.ms', value: '3600000' }],
      }],
    })
    await waitFor(async () => await retention(topic) === '3600000', 'the new value')
  },

  async admin_delete_records() {
    const topic = await filled('admin-records', 10)
    // It knows the leaders of topics it has asked about, at the time it asked.
    const fresh = kafka.admin()
    await fresh.connect()
    await fresh.fetchTopicOffsets(topic)
    await fresh.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
    await fresh.disconnect()
    expect(texts(await read(topic, 6)), values(6, 4), 'values')
  },

  async admin_groups() {
    const topic = await filled('admin-groups', 3)
    const group = `${prefix}-admin-groups`
    const member = await new Member(group, topic).start()
    await waitFor(() => member.seen.length === 3, '3 records read')
    await member.consumer.disconnect()
    const listed = async () =>
      (await admin.listGroups()).groups.some((each) => each.groupId === group)
    expect(await listed(), true, 'listed')
    expect((await admin.describeGroups([group])).groups[0].state, 'Empty', 'state')
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    expect(partitions[0].offset, '3', 'offset')
    await admin.deleteGroups([group])
    expect(await listed(), false, 'listed afterwards')
  },
}

async function main() {
  const version = JSON.parse(fs.readFileSync(require.resolve('kafkajs/package.json'))).version
  tell({ client: `kafkajs ${version}` })
  await admin.connect()
  for (const name of names) {
    const started = Date.now()
    const line = { check: name, result: 'pass', detail: '' }
    if (!checks[name]) {
      Object.assign(line, { result: 'none', detail: 'not offered by this client' })
    } else {
      try {
        await checks[name]()
      } catch (error) {
        Object.assign(line, { result: 'fail', detail: `${error.name}: ${error.message}` })
      }
    }
    tell({ ...line, seconds: (Date.now() - started) / 1000 })
  }
  process.exit(0)
}

main()

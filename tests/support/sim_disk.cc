#include "tests/support/sim_disk.h"

#include <utility>

namespace runnel::storage {
namespace {

constexpr std::uint64_t kSector = 512;
/// Time passes by operations, so that modification times are repeatable.
constexpr std::int64_t kFirstSecond = 1'700'000'000;

/// The standard fixes the engine's output but not its distributions', so those are not used.
std::uint64_t up_to(SimRandom& random, std::uint64_t most) {
  return random() % (most + 1);
}

}  // namespace

void SimContent::apply(const Change& change, SparseBytes& to) {
  if (change.lost) return;
  if (change.resize) {
    to.resize(change.position);
  } else {
    to.write(change.position, as_bytes(change.bytes));
  }
}

void SimContent::write(std::uint64_t position, Bytes bytes) {
  visible_.write(position, bytes);
  pending_.push_back({.position = position, .bytes = std::string(as_text(bytes))});
}

void SimContent::resize(std::uint64_t size) {
  visible_.resize(size);
  pending_.push_back({.resize = true, .position = size, .bytes = {}});
}

void SimContent::sync() {
  for (const Change& change : pending_) apply(change, durable_);
  pending_.clear();
}

void SimContent::sync_failed() {
  for (Change& change : pending_) change.lost = change.lost || !change.resize;
}

void SimContent::power_cut(CutMode mode, SimRandom& random) {
  if (mode == CutMode::kPrefix) keep_prefix(random);
  if (mode == CutMode::kSectors) keep_sectors(random);
  pending_.clear();
  visible_.copy_from(durable_);
}

void SimContent::keep_prefix(SimRandom& random) {
  const std::size_t whole = up_to(random, pending_.size());
  for (std::size_t i = 0; i < whole; ++i) apply(pending_[i], durable_);
  if (whole == pending_.size() || pending_[whole].resize) return;
  Change torn = pending_[whole];
  const std::uint64_t end = torn.position + torn.bytes.size();
  const std::uint64_t first_boundary = torn.position - torn.position % kSector;
  const std::uint64_t stop =
      first_boundary + kSector * up_to(random, (end - first_boundary) / kSector);
  if (stop <= torn.position) return;
  torn.bytes.resize(stop - torn.position);
  apply(torn, durable_);
}

void SimContent::keep_sectors(SimRandom& random) {
  // Shrinking is a barrier: what comes before it is on disk, or it has not happened.
  std::vector<std::size_t> barriers{0};
  std::uint64_t size = durable_.size();
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (change.resize && change.position < size) barriers.push_back(i + 1);
    size = change.resize ? change.position
                         : std::max<std::uint64_t>(size, change.position + change.bytes.size());
  }
  const std::size_t chosen = up_to(random, barriers.size() - 1);
  const std::size_t begin = barriers[chosen];
  const std::size_t end = chosen + 1 < barriers.size() ? barriers[chosen + 1] - 1 : pending_.size();
  for (std::size_t i = 0; i < begin; ++i) apply(pending_[i], durable_);

  const auto each_sector = [&](const Change& change, auto body) {
    const std::uint64_t last = change.position + change.bytes.size();
    for (std::uint64_t at = change.position; at < last;) {
      const std::uint64_t next = std::min(last, at - at % kSector + kSector);
      body(at / kSector, at, next);
      at = next;
    }
  };
  std::map<std::uint64_t, std::uint64_t> kept;  // sector -> how many of its writes survive
  std::uint64_t furthest = durable_.size();
  for (std::size_t i = begin; i < end; ++i) {
    const Change& change = pending_[i];
    const std::uint64_t reach =
        change.resize ? change.position : change.position + change.bytes.size();
    furthest = std::max(furthest, reach);
    if (change.resize || change.lost) continue;
    each_sector(change,
                [&](std::uint64_t sector, std::uint64_t, std::uint64_t) { ++kept[sector]; });
  }
  // Half of the sectors all or nothing, the rest anywhere between.
  for (auto& [sector, count] : kept) {
    const std::uint64_t draw = up_to(random, 3);
    count = draw == 0 ? 0 : draw == 1 ? count : up_to(random, count);
  }
  for (std::size_t i = begin; i < end; ++i) {
    const Change& change = pending_[i];
    if (change.resize || change.lost) continue;
    each_sector(change, [&](std::uint64_t sector, std::uint64_t from, std::uint64_t to) {
      if (kept[sector] == 0) return;
      --kept[sector];
      durable_.write(from, as_bytes(change.bytes).subspan(from - change.position, to - from));
    });
  }
  if (up_to(random, 1) == 1) durable_.resize(std::max(durable_.size(), furthest));
}

void SimContent::flip_bit(std::uint64_t position, unsigned bit) {
  visible_.flip_bit(position, bit);
  durable_.flip_bit(position, bit);
}

void SimContent::cut_to(std::uint64_t size) {
  visible_.resize(size);
  durable_.copy_from(visible_);
  pending_.clear();
}

SimDisk::SimDisk(std::uint64_t seed) : random_(seed), root_(std::make_shared<SimNode>()) {
  root_->is_directory = true;
  root_->links = 1;
  root_->modified = kFirstSecond;
  nodes_.emplace(0, root_);
}

SimDisk::~SimDisk() {
  // Operations name the directories that queue them: undo the cycles.
  for (const SimNodePtr& node : live_nodes()) {
    node->pending.clear();
    node->names.clear();
    node->durable_names.clear();
  }
}

Result<SimDisk::Place> SimDisk::find(const std::string& path) const {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    std::string part = path.substr(at, slash - at);
    at = slash + 1;
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(std::move(part));
  }
  if (parts.empty()) return Place{.directory = root_, .name = "", .node = root_};
  SimNodePtr directory = root_;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto entry = directory->names.find(parts[i]);
    if (entry == directory->names.end() || !entry->second->is_directory) {
      return fail(ErrorCode::kNotFound, "cannot find " + path + ": no directory " + parts[i]);
    }
    directory = entry->second;
  }
  const auto entry = directory->names.find(parts.back());
  return Place{.directory = directory,
               .name = parts.back(),
               .node = entry == directory->names.end() ? nullptr : entry->second};
}

void SimDisk::set_name(SimNode& directory, const std::string& name, const SimNodePtr& node) {
  const auto entry = directory.names.find(name);
  const SimNodePtr before = entry == directory.names.end() ? nullptr : entry->second;
  if (node) {
    ++node->links;
    directory.names[name] = node;
    charge(*node);
  } else {
    directory.names.erase(name);
  }
  if (before) {
    --before->links;
    charge(*before);
  }
}

void SimDisk::record(std::vector<SimNode::Edit> edits) {
  auto operation = std::make_shared<SimNode::Operation>();
  operation->sequence = next_sequence_++;
  operation->edits = std::move(edits);
  SimNode* queued = nullptr;
  for (const SimNode::Edit& edit : operation->edits) {
    set_name(*edit.directory, edit.name, edit.node);
    edit.directory->modified = kFirstSecond + static_cast<std::int64_t>(next_sequence_ / 1000);
    if (edit.directory.get() != queued) edit.directory->pending.push_back(operation);
    queued = edit.directory.get();
  }
}

SimNodePtr SimDisk::create(const Place& place, bool is_directory) {
  auto node = std::make_shared<SimNode>();
  node->id = next_id_++;
  node->is_directory = is_directory;
  node->modified = kFirstSecond + static_cast<std::int64_t>(next_sequence_ / 1000);
  nodes_.emplace(node->id, node);
  link(place, node);
  return node;
}

void SimDisk::link(const Place& to, const SimNodePtr& node) {
  record({{.directory = to.directory, .name = to.name, .node = node}});
}

void SimDisk::unlink(const Place& place) {
  record({{.directory = place.directory, .name = place.name, .node = nullptr}});
}

void SimDisk::rename(const Place& from, const Place& to) {
  // Links first: the node keeps a name throughout and is not taken for deleted.
  record({{.directory = to.directory, .name = to.name, .node = from.node},
          {.directory = from.directory, .name = from.name, .node = nullptr}});
}

void SimDisk::persist(SimNode& directory, std::size_t count) {
  if (count == 0 || directory.pending.empty()) return;
  persist_until(directory, directory.pending[count - 1]->sequence);
}

void SimDisk::persist_until(SimNode& directory, std::uint64_t sequence) {
  while (!directory.pending.empty() && directory.pending.front()->sequence <= sequence) {
    const auto operation = directory.pending.front();
    directory.pending.pop_front();
    if (operation->applied) continue;
    operation->applied = true;
    for (const SimNode::Edit& edit : operation->edits) {
      // The other directory of a rename must first have what came before.
      persist_until(*edit.directory, operation->sequence);
      if (edit.node) {
        edit.directory->durable_names[edit.name] = edit.node;
      } else {
        edit.directory->durable_names.erase(edit.name);
      }
    }
  }
}

std::vector<SimNodePtr> SimDisk::live_nodes() {
  std::vector<SimNodePtr> live;
  for (auto entry = nodes_.begin(); entry != nodes_.end();) {
    if (SimNodePtr node = entry->second.lock()) {
      live.push_back(std::move(node));
      ++entry;
    } else {
      entry = nodes_.erase(entry);
    }
  }
  return live;
}

void SimDisk::power_cut(CutMode mode) {
  const std::vector<SimNodePtr> live = live_nodes();
  for (const SimNodePtr& node : live) {
    if (mode != CutMode::kDropAll) persist(*node, up_to(random_, node->pending.size()));
  }
  for (const SimNodePtr& node : live) {
    node->pending.clear();
    node->links = 0;
    if (!node->is_directory) node->content.power_cut(mode, random_);
  }
  restore_visible();
  close_all();
}

void SimDisk::close_all() {
  for (const SimNodePtr& node : live_nodes()) {
    node->handles = 0;
    charge(*node);
  }
}

void SimDisk::restore_visible() {
  root_->links = 1;
  std::vector<SimNodePtr> waiting{root_};
  while (!waiting.empty()) {
    const SimNodePtr directory = waiting.back();
    waiting.pop_back();
    directory->names = directory->durable_names;
    for (const auto& [name, node] : directory->names) {
      ++node->links;
      if (node->is_directory) waiting.push_back(node);
    }
  }
}

void SimDisk::destroy(const Place& place) {
  set_name(*place.directory, place.name, nullptr);
  place.directory->durable_names.erase(place.name);
  std::erase_if(place.directory->pending, [&](const auto& operation) {
    return operation->edits.size() == 1 && operation->edits.front().name == place.name;
  });
}

void SimDisk::charge(SimNode& node) {
  const bool counted = !node.is_directory && (node.links != 0 || node.handles != 0);
  const std::uint64_t now = counted ? node.content.visible().size() : 0;
  used_ = used_ - node.charged + now;
  node.charged = now;
}

}  // namespace runnel::storage

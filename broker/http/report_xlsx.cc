// Workbooks; the only file that knows libxlsxwriter.
#include <sys/mman.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include <cmath>
#include <map>

#include "broker/http/report_text.h"
#include "storage/views/types/decimal.h"

namespace runnel::broker::http {
namespace {

namespace views = storage::views;

/// What a double, and so a spreadsheet, holds of a decimal without loss.
constexpr unsigned kExactDigits = 15;
constexpr double kMaxExactInteger = 9'007'199'254'740'992.0;  // 2^53
constexpr std::size_t kMaxSheetName = 31;
constexpr double kColumnWidth = 20;

/// A file in memory that a library can open by its name.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("report", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] std::string name() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  [[nodiscard]] Result<std::string> read(std::size_t most) const {
    const ::off_t size = ::lseek(descriptor_, 0, SEEK_END);
    if (size < 0) return fail(ErrorCode::kIo, "the workbook could not be made in memory");
    if (static_cast<std::size_t>(size) > most) {
      return fail(ErrorCode::kRecordTooLarge,
                  "the workbook has more than " + std::to_string(most) +
                      " bytes; ask for a shorter time, a key or fewer columns");
    }
    std::string out(static_cast<std::size_t>(size), '\0');
    std::size_t done = 0;
    while (done < out.size()) {
      const ::ssize_t n =
          ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<::off_t>(done));
      if (n <= 0) return fail(ErrorCode::kIo, "the workbook could not be read from memory");
      done += static_cast<std::size_t>(n);
    }
    return out;
  }

 private:
  const int descriptor_;
};

std::string sheet_name(std::string name) {
  for (char& c : name) {
    const bool has_no_place = std::string_view("[]:*?/\\'").find(c) != std::string_view::npos ||
                              static_cast<unsigned char>(c) < 0x20;
    if (has_no_place) c = '_';
  }
  return name.empty() || name.size() > kMaxSheetName ? "Report" : name;
}

/// One workbook with one sheet. Rows go to a temporary file as they are written.
class Workbook {
 public:
  Workbook(const Report& report, const std::string& file) : report_(report) {
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    book_ = workbook_new_opt(file.c_str(), &options);
    if (book_ == nullptr) return;
    sheet_ = workbook_add_worksheet(book_, sheet_name(report.title).c_str());
    head_ = workbook_add_format(book_);
    if (head_ != nullptr) format_set_bold(head_);
  }
  ~Workbook() {
    if (book_ != nullptr) lxw_workbook_free(book_);
  }
  Workbook(const Workbook&) = delete;
  Workbook& operator=(const Workbook&) = delete;

  Status write() {
    if (sheet_ == nullptr) return fail(ErrorCode::kIo, "no workbook could be begun");
    const std::size_t columns = report_.answer.columns.size();
    for (std::size_t i = 0; i < columns; ++i) {
      const auto column = static_cast<lxw_col_t>(i);
      worksheet_set_column(sheet_, column, column, kColumnWidth, nullptr);
    }
    worksheet_freeze_panes(sheet_, 1, 0);
    for (std::size_t i = 0; i < columns; ++i) {
      RUNNEL_TRY(check(worksheet_write_string(sheet_, 0, static_cast<lxw_col_t>(i),
                                              heading_of(report_, i).c_str(), head_)));
    }
    for (std::size_t r = 0; r < report_.answer.rows.size(); ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        RUNNEL_TRY(check(write_cell(static_cast<lxw_row_t>(r + 1), static_cast<lxw_col_t>(i),
                                    report_.answer.rows[r][i])));
      }
    }
    const lxw_error closed = workbook_close(book_);
    book_ = nullptr;
    return check(closed);
  }

 private:
  static Status check(lxw_error error) {
    if (error == LXW_NO_ERROR) return {};
    const bool of_text = error == LXW_ERROR_MAX_STRING_LENGTH_EXCEEDED;
    return fail(of_text ? ErrorCode::kInvalidArgument : ErrorCode::kIo,
                std::string("the workbook could not be written: ") + lxw_strerror(error) +
                    (of_text ? "; leave the column out, or take CSV" : ""));
  }
  lxw_format* format(const std::string& text) {
    lxw_format*& known = formats_[text];
    if (known == nullptr) {
      known = workbook_add_format(book_);
      if (known != nullptr) format_set_num_format(known, text.c_str());
    }
    return known;
  }
  /// Days since 1899-12-30, as spreadsheets count them.
  static double serial_day(double days_since_1970) { return days_since_1970 + 25569; }

  lxw_error write_text(lxw_row_t row, lxw_col_t column, const std::string& text) {
    return worksheet_write_string(sheet_, row, column, text.c_str(), nullptr);
  }
  lxw_error write_decimal(lxw_row_t row, lxw_col_t column, const views::Value& value) {
    if (!views::has_digits(value.as_decimal(), kExactDigits)) {
      return write_text(row, column, to_string(value));
    }
    const std::string places = value.scale() == 0 ? "0" : "0." + std::string(value.scale(), '0');
    return worksheet_write_number(sheet_, row, column,
                                  views::decimal_to_double(value.as_decimal(), value.scale()),
                                  format(places));
  }
  lxw_error write_cell(lxw_row_t row, lxw_col_t column, const views::Value& value) {
    constexpr double kMicrosPerDay = 86'400e6;
    switch (value.tag()) {
      case views::Tag::kNull:
        return LXW_NO_ERROR;
      case views::Tag::kBoolean:
        return worksheet_write_boolean(sheet_, row, column, value.as_boolean() ? 1 : 0, nullptr);
      case views::Tag::kBigint: {
        const auto number = static_cast<double>(value.as_bigint());
        if (number > kMaxExactInteger || number < -kMaxExactInteger) break;
        return worksheet_write_number(sheet_, row, column, number, format("0"));
      }
      case views::Tag::kDouble:
        if (!std::isfinite(value.as_double())) break;
        return worksheet_write_number(sheet_, row, column, value.as_double(), nullptr);
      case views::Tag::kDecimal:
        return write_decimal(row, column, value);
      case views::Tag::kTimestamp: {
        const auto local = static_cast<double>(report_.zone->to_local(value.as_timestamp()));
        return worksheet_write_number(sheet_, row, column, serial_day(local / kMicrosPerDay),
                                      format("yyyy-mm-dd hh:mm:ss"));
      }
      case views::Tag::kDate:
        return worksheet_write_number(sheet_, row, column, serial_day(value.as_date()),
                                      format("yyyy-mm-dd"));
      case views::Tag::kText:
        break;
    }
    return write_text(row, column, to_string(value));
  }

  const Report& report_;
  lxw_workbook* book_ = nullptr;
  lxw_worksheet* sheet_ = nullptr;
  lxw_format* head_ = nullptr;
  std::map<std::string, lxw_format*> formats_;
};

}  // namespace

Result<std::string> xlsx_of(const Report& report, std::size_t most) {
  const MemoryFile file;
  {
    Workbook book(report, file.name());
    RUNNEL_TRY(book.write());
  }
  return file.read(most);
}

}  // namespace runnel::broker::http

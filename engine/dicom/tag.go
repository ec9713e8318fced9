package dicom

import "fmt"

// Tag names an element: group in the upper half, element in the lower.
type Tag uint32

// String returns the tag as (gggg,eeee).
func (t Tag) String() string { return fmt.Sprintf("(%04X,%04X)", uint16(t>>16), uint16(t)) }

// Elements of modality worklist items and of generated objects, PS3.6 section 6.
const (
	SpecificCharacterSet      Tag = 0x0008_0005
	SOPClassUID               Tag = 0x0008_0016
	SOPInstanceUID            Tag = 0x0008_0018
	StudyDate                 Tag = 0x0008_0020
	StudyTime                 Tag = 0x0008_0030
	AccessionNumber           Tag = 0x0008_0050
	ModalityTag               Tag = 0x0008_0060
	ConversionType            Tag = 0x0008_0064
	ReferringPhysicianName    Tag = 0x0008_0090
	ReferencedStudySequence   Tag = 0x0008_1110
	ReferencedPatientSequence Tag = 0x0008_1120
	PatientName               Tag = 0x0010_0010
	PatientID                 Tag = 0x0010_0020
	PatientBirthDate          Tag = 0x0010_0030
	PatientSex                Tag = 0x0010_0040
	StudyInstanceUID          Tag = 0x0020_000D
	SeriesInstanceUID         Tag = 0x0020_000E
	StudyID                   Tag = 0x0020_0010
	SeriesNumber              Tag = 0x0020_0011
	InstanceNumber            Tag = 0x0020_0013
	ImageComments             Tag = 0x0020_4000
	SamplesPerPixel           Tag = 0x0028_0002
	PhotometricInterpretation Tag = 0x0028_0004
	Rows                      Tag = 0x0028_0010
	Columns                   Tag = 0x0028_0011
	BitsAllocated             Tag = 0x0028_0100
	BitsStored                Tag = 0x0028_0101
	HighBit                   Tag = 0x0028_0102
	PixelRepresentation       Tag = 0x0028_0103
	RequestingPhysician       Tag = 0x0032_1032
	RequestedProcedure        Tag = 0x0032_1060 // its description
	RequestedProcedureCode    Tag = 0x0032_1064 // a sequence
	ScheduledStationAETitle   Tag = 0x0040_0001
	ScheduledStartDate        Tag = 0x0040_0002
	ScheduledStartTime        Tag = 0x0040_0003
	ScheduledPerformer        Tag = 0x0040_0006
	ScheduledDescription      Tag = 0x0040_0007
	ScheduledProtocolCode     Tag = 0x0040_0008 // a sequence
	ScheduledStepID           Tag = 0x0040_0009
	ScheduledStationName      Tag = 0x0040_0010
	ScheduledStepSequence     Tag = 0x0040_0100
	RequestedProcedureID      Tag = 0x0040_1001
	PixelData                 Tag = 0x7FE0_0010
)

const (
	tagItem         Tag = 0xFFFE_E000
	tagItemEnd      Tag = 0xFFFE_E00D
	tagSequenceEnd  Tag = 0xFFFE_E0DD
	undefinedLength     = 0xFFFF_FFFF
)

// VR is a value representation, PS3.5 section 6.2.
type VR string

// Representations that are handled by themselves.
const (
	AgeString        VR = "AS"
	ApplicationTitle VR = "AE"
	CodeString       VR = "CS"
	Date             VR = "DA"
	IntegerString    VR = "IS"
	LongString       VR = "LO"
	LongText         VR = "LT"
	OtherByte        VR = "OB"
	PersonName       VR = "PN"
	Sequence         VR = "SQ"
	ShortString      VR = "SH"
	Time             VR = "TM"
	UniqueID         VR = "UI"
	Unknown          VR = "UN"
	UnsignedShort    VR = "US"
)

// valid reports whether v is two capital letters.
func (v VR) valid() bool {
	return len(v) == 2 && v[0] >= 'A' && v[0] <= 'Z' && v[1] >= 'A' && v[1] <= 'Z'
}

// long reports whether v's length takes four bytes behind two reserved ones in explicit VR, PS3.5 section 7.1.2.
func (v VR) long() bool {
	switch v {
	case "OB", "OD", "OF", "OL", "OV", "OW", Sequence, "SV", "UC", Unknown, "UR", "UT", "UV":
		return true
	}
	return false
}

// width returns the bytes of one number of a binary representation, zero for text: what byte order applies to.
func (v VR) width() int {
	switch v {
	case "AT", "OW", "SS", UnsignedShort:
		return 2
	case "FL", "OF", "OL", "SL", "UL":
		return 4
	case "FD", "OD", "OV", "SV", "UV":
		return 8
	}
	return 0
}

// padding returns the byte that fills a value up to an even length.
func (v VR) padding() byte {
	switch v {
	case UniqueID, OtherByte, Unknown:
		return 0
	}
	return ' '
}

// VRof returns the representation of an element of worklist items and generated objects, Unknown for any other.
func VRof(tag Tag) VR {
	switch tag {
	case SpecificCharacterSet, ModalityTag, ConversionType, PatientSex, PhotometricInterpretation:
		return CodeString
	case SOPClassUID, SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID:
		return UniqueID
	case StudyDate, PatientBirthDate, ScheduledStartDate:
		return Date
	case StudyTime, ScheduledStartTime:
		return Time
	case AccessionNumber, StudyID, ScheduledStepID, ScheduledStationName, RequestedProcedureID:
		return ShortString
	case ReferringPhysicianName, PatientName, RequestingPhysician, ScheduledPerformer:
		return PersonName
	case PatientID, RequestedProcedure, ScheduledDescription:
		return LongString
	case ScheduledStationAETitle:
		return ApplicationTitle
	case ReferencedStudySequence, ReferencedPatientSequence, RequestedProcedureCode, ScheduledProtocolCode, ScheduledStepSequence:
		return Sequence
	case SeriesNumber, InstanceNumber:
		return IntegerString
	case ImageComments:
		return LongText
	case SamplesPerPixel, Rows, Columns, BitsAllocated, BitsStored, HighBit, PixelRepresentation:
		return UnsignedShort
	case PixelData:
		return OtherByte
	}
	return Unknown
}
